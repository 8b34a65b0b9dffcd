"""How wide young windows have to forecast at least, measured on what the network never learnt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch

from models.context import Context
from models.forecaster import Forecaster
from models.spec import Spec
from models.warming import MOST, Warming
from training.held_out import HeldOut, Values, missed

_USUAL = 0.1
"""The share of whole histories whose windows may be emptier, or calmer, than what is usual."""


def measure_warming(forecaster: Forecaster, held: HeldOut) -> Warming | None:
    """What brings the quantiles of young windows to their levels on what was not learnt from.

    Histories are cut to their newest 1, 2, 4, 8 … observed values, as those of young streams are,
    and forecast by the network alone. For each quantile it is the least distance from the median
    that brings it to its level where it is nearer to that: an empirical quantile of the errors that
    lie beyond it (split conformal prediction: Vovk, Gammerman & Shafer 2005), pooled over series,
    origins and neighbouring steps ahead; no less than an inner one's or an older window's, and
    nothing where a quantile is missed no more often than from uncut histories. None where nothing
    is to be widened, nothing can be measured, or the head is a point head.
    """
    spec = forecaster.spec
    if not spec.quantiles:
        return None
    histories, truth = held.histories, held.truth
    windows = [history.y[-spec.input_size :] for history in histories]
    counts = np.array([np.isfinite(window).sum() for window in windows], dtype=np.int64)
    lengths = np.array([window.size for window in windows], dtype=np.int64)
    whole = (lengths == spec.input_size) & (counts > 0)
    if not whole.any():
        return None
    full = int(np.quantile(counts[whole], _USUAL, method="lower"))
    ages, steps = _doubling(full)[:-1], _doubling(spec.horizon)
    floor = _floor(spec, [windows[row] for row in np.flatnonzero(whole)])
    kept = forecaster.warming
    forecaster.warm(None)
    usual = missed(forecaster, [histories[row] for row in np.flatnonzero(whole)], truth[whole])
    bins = _bins(spec.horizon, steps)
    sizes = np.zeros((len(ages), len(steps), spec.outputs))
    for i, age in enumerate(ages):
        rows = np.flatnonzero(counts >= age)
        cut = [_newest(histories[row], age) for row in rows]
        by = missed(forecaster, cut, truth[rows]) / _amounts(forecaster, cut, floor)
        for j, ahead in enumerate(bins):
            sizes[i, j] = _lacking(spec, by[:, ahead], usual[:, ahead])
    forecaster.warm(kept)
    return _warming(spec, sizes, [*ages, full], steps, floor)


def _warming(
    spec: Spec, sizes: Values, ages: Sequence[int], steps: Sequence[int], floor: float
) -> Warming | None:
    """sizes: (ages, steps, Q), not negative, as measured; ages: with the full one at their end."""
    sizes = np.maximum.accumulate(sizes[::-1], axis=0)[::-1].clip(0.0, MOST)
    middle = spec.quantiles.index(0.5)
    for outwards in (slice(middle, None), slice(middle, None, -1)):
        sizes[..., outwards] = np.maximum.accumulate(sizes[..., outwards], axis=-1)
    n = int(sizes.any(axis=(1, 2)).sum())  # they fall with age: those that are not zero lead
    if not n:
        return None
    offsets = sizes[:n] * _signs(spec) + 0.0  # no negative zero
    return Warming(
        full=ages[n],
        floor=floor,
        ages=tuple(ages[:n]),
        steps=tuple(steps),
        offsets=tuple(tuple(tuple(map(_short, step)) for step in age) for age in offsets),
    )


def _lacking(spec: Spec, missed: Values, usual: Values) -> Values:
    """(Q,): how far from the median each quantile is to be, where it is missed too often.

    missed, usual: (n, k, Q), of cut and of uncut histories, NaN where there is no truth.
    """
    signs = _signs(spec)
    here, there = (each[np.isfinite(each).all(axis=-1)] for each in (missed, usual))  # (m, Q)
    sizes = np.zeros(spec.outputs)
    if not (len(here) and len(there)):
        return sizes
    # a truth that lies within is reached already, however far off the median it is
    far = np.where(signs * here > 0, np.abs(here[:, [spec.quantiles.index(0.5)]]), 0.0)
    ordered = np.sort(far, axis=0)
    for q, level in enumerate(spec.quantiles):
        outside = min(level, 1 - level)
        if level != 0.5 and (far[:, q] > 0).mean() > max(
            outside, (signs[q] * there[:, q] > 0).mean()
        ):
            rank = min(len(far), math.ceil((1 - outside) * (len(far) + 1)))
            sizes[q] = ordered[rank - 1, q]
    return sizes


def _amounts(forecaster: Forecaster, histories: Sequence[Context], floor: float) -> Values:
    """(n, 1, 1): the reference amount of each history's window, as `models.widening` takes it."""
    spec = forecaster.spec
    if spec.transform == "log":
        return np.ones((len(histories), 1, 1))
    windows = np.full((len(histories), spec.input_size), np.nan)
    for window, history in zip(windows, histories, strict=True):
        newest = history.y[-spec.input_size :]
        window[spec.input_size - newest.size :] = newest
    loc: Values = forecaster.encoder.scaled(torch.from_numpy(windows)).loc.numpy()  # (n, 1)
    return np.maximum(np.abs(loc), floor)[..., None]


def _floor(spec: Spec, windows: Sequence[Values]) -> float:
    """The spread of a calm window, in data units; 1 under the logarithm."""
    spreads = np.array([np.nanstd(window) for window in windows])
    moving = spreads[spreads > 0]
    if spec.transform == "log" or not moving.size:
        return 1.0
    return _short(np.quantile(moving, _USUAL, method="lower"))


def _newest(past: Context, age: int) -> Context:
    """`past` from its newest `age` observed values on."""
    begin = int(np.flatnonzero(np.isfinite(past.y))[-age])
    return Context(past.y[begin:], past.exog[begin:], past.futr, past.stat)


def _signs(spec: Spec) -> Values:
    """(Q,): which way each quantile moves outwards; 0 for the median."""
    return np.sign(np.array(spec.quantiles) - 0.5)


def _doubling(last: int) -> list[int]:
    """1, 2, 4, 8 … and `last`."""
    return [*(2**k for k in range(last.bit_length()) if 2**k < last), last]


def _bins(horizon: int, steps: Sequence[int]) -> list[slice]:
    """The steps ahead, counted from 0, that are nearest each of `steps`, in their logarithm."""
    edges = [0, *(math.isqrt(a * b) for a, b in pairwise(steps)), horizon]
    return [slice(a, b) for a, b in pairwise(edges)]


def _short(value: float) -> float:
    return float(f"{value:.5g}")
