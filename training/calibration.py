"""Intervals that cover what they say: the spread of the quantiles, corrected on unseen steps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from models.forecaster import Forecaster
from models.spec import Spec
from training.held_out import HeldOut, missed

_HALF, _CELL_HALF = 3.0, 30.0
"""Independent stretches at which a factor counts half: the one of all, and that of a bin and level,
or any that narrows. Decision 17 tells where they come from."""
_MOST = 4.0
"""A factor is at most this, and at least its inverse: beyond it the network is wrong, not narrow.
"""
_TINY = 1e-12

Factors = NDArray[np.float64]


def calibrate(forecaster: Forecaster, held: HeldOut) -> None:
    """Stretch the quantiles about the median until they cover what they say on unseen steps.

    The factor of a quantile is the one that would have put its share of the truths inside: the
    empirical quantile of (truth - median) / (quantile - median), as in conformalized quantile
    regression (Romano, Patterson & Candes 2019) with a relative score. One factor for all is
    estimated first, from the tails at all steps ahead together, and drawn towards 1 where the
    unseen stretches are few; that of a level and its mirror image in a bin of steps ahead is drawn
    towards the one. Both sides are stretched alike: that most series went up in the same two days
    says nothing of the next two.

    The median stays. The factors are worked into the head's weights (the head is linear in the
    state, and everything else in it is the same for all quantiles), so forecasts cost nothing more,
    streams and batches agree as before, and a bundle needs no new field. Nothing changes for a
    point head, or where nothing was held back.
    """
    spec = forecaster.spec
    if not spec.quantiles or not held.histories:
        return
    factors = measured(spec, missed(forecaster, held.histories, held.truth), _stretches(spec, held))
    _stretch(forecaster, factors)


def measured(spec: Spec, by: Factors, stretches: float) -> Factors:
    """(horizon, Q): the factor of each quantile's distance from the median, 1 for the median.

    by: (N, horizon, Q), truth less quantile, NaN where there is no truth. stretches: how many
    independent forecasts those amount to.
    """
    middle = spec.quantiles.index(0.5)
    truth = by[..., middle]  # (N, horizon), less the median
    distance = truth[..., None] - by  # (N, horizon, Q)
    known = np.isfinite(truth)
    factors = np.ones((spec.horizon, spec.outputs))
    tails = [q for q in range(spec.outputs) if q != middle]
    if not tails or not known.any():
        return factors
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = truth[..., None] / np.where(np.abs(distance) > _TINY, distance, np.nan)
    inside = [1.0 - min(level, 1.0 - level) for level in spec.quantiles]
    outer = [q for q in tails if inside[q] >= min(0.9, max(inside))]
    # as many of the tails' truths inside as all of them together should have
    together = _factor(ratio[..., outer], float(np.mean([inside[q] for q in outer])))
    half = _HALF if together > 1 else _CELL_HALF  # a calm stretch is no promise of calm
    factors[:, tails] = together ** (stretches / (stretches + half))
    own = stretches / (stretches + _CELL_HALF)
    # futr_output is shared by the steps ahead: what it adds can be stretched for all of them alike
    bins = [slice(0, spec.horizon)] if spec.n_futr else _bins(spec.horizon)
    for ahead in bins:
        for q in tails:
            each = _factor(ratio[:, ahead][..., _mirrored(spec, q)], inside[q])
            factors[ahead, q] = factors[ahead, q] ** (1 - own) * each**own
    return factors


def _mirrored(spec: Spec, q: int) -> list[int]:
    """The columns of a level and, where there is one, of the level as far from the other end."""
    return [
        k
        for k, level in enumerate(spec.quantiles)
        if k == q or abs(level + spec.quantiles[q] - 1.0) < _TINY
    ]


def _factor(ratio: Factors, inside: float) -> float:
    """The `inside` quantile of the ratios, within its bounds; 1 where there are none."""
    seen = ratio[np.isfinite(ratio)]
    if not seen.size:
        return 1.0
    return float(np.clip(np.quantile(seen, inside, method="higher"), 1 / _MOST, _MOST))


def _stretches(spec: Spec, held: HeldOut) -> float:
    """Forecasts that do not overlap, in what was held back."""
    return float((held.steps / spec.horizon).sum())


@torch.no_grad()
def _stretch(forecaster: Forecaster, factors: Factors) -> None:
    """Work factors (horizon, Q) into the head."""
    head, spec = forecaster.head, forecaster.spec
    middle = spec.quantiles.index(0.5)
    scaled = torch.from_numpy(factors).float()  # (horizon, Q)
    weight = head.state.weight.view(spec.horizon, spec.outputs, -1)  # (horizon, Q, features)
    median = weight[:, middle : middle + 1].clone()
    weight.copy_(median + scaled[..., None] * (weight - median))
    bias = head.state.bias.view(spec.horizon, spec.outputs)
    bias.copy_(bias[:, middle : middle + 1] + scaled * (bias - bias[:, middle : middle + 1]))
    if head.n_futr:
        output = head.futr_output.weight  # (Q, units)
        median = output[middle : middle + 1].clone()
        output.copy_(median + scaled[0][:, None] * (output - median))


def _bins(horizon: int) -> list[slice]:
    """Steps ahead 1, 2, 3 to 4, 5 to 8 … : spreads grow with the logarithm of the distance."""
    edges = [0, *(2**k for k in range(horizon.bit_length()) if 2**k < horizon), horizon]
    return [slice(a, b) for a, b in pairwise(edges)]
