"""What windows tell before anything is trained: the linear map from them, and what it misses.

Solved in one go it is a forecaster of its own, hard to beat on short series. The network begins
there, and stays near it where there is little data (`training.beginning`). Decisions 19, 20, 23 and
26 have the evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import stdtrit
from torch import Tensor

from models.context import Context
from models.forecaster import Forecaster
from models.head import seasonal_naive_weights
from models.spec import Spec
from models.transform import to_network
from training.ridge import Line, Trust, moments_of
from training.smoothing import likely_smoothing

_ORIGINS, _FOLDED_ORIGINS, _BLOCK = 16_384, 2_048, 2_048
"""Forecast origins that the map is solved for and that it is cross-validated on, evenly spread, and
how many are held at once."""
_RANGED = 256
"""Windows of a series whose scales are looked at, or up to twice as many."""
_FARTHEST = 10.0
"""Window scales beyond which a target counts no more: least squares must not chase a spike."""
BELIEFS = (0.25, 0.05, 0.01, 0.002)
"""How much exponential smoothing may be believed (`training.ridge.Trust`), a priori the first."""
_PLAINLY, _ENOUGH = 0.98, 30.0
"""By what part less belief must lessen the error, and the stretches that may say so."""
_SHARE, _SHARE_STRETCHES = 0.25, 10.0
"""The share of the regression a priori, and for how many stretches of data that stands."""
_FOLDS = 4
_MOST_REGULAR, _TINY = 0.05, 1e-9
"""What seasonal naive misses in a series, as a share of what it misses in the middle one, below
which the series counts no more for being regular."""
_FEWEST, _OWN_SHAPE = 3, 20.0
"""Errors a step below which their spread is not read off them, and the stretches of data at which
their own quantiles count half against those of a t distribution."""
_LEAST_FREEDOM = 1.5
"""Degrees of freedom below which a t distribution has hardly an end."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the windows of series tell.

    line: regression drawn to the exponential smoothing that is likely, as far as cross-validation
    trusts it. missed: (N, horizon) what it missed in windows that it was not solved for, in their
    scale. independent: how many forecasts that do not overlap those are worth. range: by how much
    the values of a series differ at most, in scales of its windows, on average over series.
    """

    line: Line
    trust: Trust
    missed: Tensor
    independent: float
    range: float

    def distances(self, levels: Sequence[float]) -> Tensor | None:
        """(horizon, Q) from the median to each quantile, as what was missed lets expect.

        Where there is much to look at those are the quantiles of the errors themselves. The fewer
        independent errors there are, the more the extremes of what may happen are missing from
        them, and one sign may be all that was seen; there they are those of a Student t
        distribution about zero, of as many degrees of freedom, with the errors' root mean square
        for its scale: the predictive distribution of a normal variable whose variance is estimated
        (Gelman et al. 2013, section 3.2). No extreme of that lies farther off than the range, which
        under the logarithm soon were many powers of ten. None for a point head, or where hardly
        anything is known.
        """
        known = self.missed.isfinite().sum(0)  # (horizon,)
        if not levels or (known < _FEWEST).any():
            return None
        at = np.array(levels)
        own = torch.nanquantile(self.missed, torch.from_numpy(at), dim=0).T  # (horizon, Q)
        own = own - own[:, levels.index(0.5), None]
        scale = (self.missed.nan_to_num(0.0).square().sum(0) / known).sqrt()  # (horizon,)
        t = torch.from_numpy(stdtrit(max(self.independent, _LEAST_FREEDOM), at))  # (Q,)
        share = self.independent / (self.independent + _OWN_SHAPE)
        expected = (scale[:, None] * t).clamp(-self.range, self.range)  # (horizon, Q)
        return share * own + (1.0 - share) * expected


def look(forecaster: Forecaster, pasts: Sequence[Context], ends: NDArray[np.int64]) -> Found | None:
    """At what followed the windows of series.

    ends: (n_series,) the leading steps of each of `pasts` that are learnt from. None where the
    network has no skip.
    """
    spec = forecaster.spec
    if forecaster.head.skip is None:
        return None
    # origins whose horizons do not overlap
    counts = [count for end in ends if (count := _origins(spec, int(end)))]
    stretches = sum(1 + (count - 1) / spec.horizon for count in counts)
    weights = _weights(forecaster, pasts, ends)

    def pairs(most: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for place, z, target in _pairs(forecaster, pasts, ends, most=most):
            yield z, target, weights[place].expand(len(z))

    found = moments_of(pairs(_ORIGINS))
    if found is None:
        return _nothing(spec)
    smooth = likely_smoothing(spec, found, stretches)
    folded = [torch.cat(each) for each in zip(*pairs(_FOLDED_ORIGINS), strict=True)]
    trust, missed = _trusted(folded[0], folded[1], folded[2], smooth, stretches)
    independent = stretches / len(counts) ** 0.5  # series move together
    line = found.line(smooth, stretches, trust)
    return Found(line, trust, missed, independent, _range(forecaster, pasts, ends))


def _nothing(spec: Spec) -> Found:
    """What is believed where no window is whole and has its horizon after it: seasonal naive."""
    naive = seasonal_naive_weights(spec).double()
    line = Line(naive, torch.zeros(spec.horizon, dtype=torch.float64))
    missed = torch.empty(0, spec.horizon, dtype=torch.float64)
    return Found(line, Trust(BELIEFS[0], 0.0), missed, independent=0.0, range=0.0)


def _range(forecaster: Forecaster, pasts: Sequence[Context], ends: NDArray[np.int64]) -> float:
    """`Found.range`, of the series with a window that is learnt from."""
    spec, ranges = forecaster.spec, []
    for past, end in zip(pasts, ends, strict=True):
        values = to_network(torch.from_numpy(past.y[: int(end)].copy()), spec)
        known = values[values.isfinite()]
        apart = float(known.max() - known.min()) if len(known) else 0.0
        if apart and (count := _origins(spec, int(end))):
            windows = values.unfold(0, spec.input_size, max(1, count // _RANGED))
            ranges.append(
                apart / float(forecaster.encoder.scaled(windows).scale.square().mean()) ** 0.5
            )
    return float(np.mean(ranges)) if ranges else 0.0


def _weights(forecaster: Forecaster, pasts: Sequence[Context], ends: NDArray[np.int64]) -> Tensor:
    """(n_series,) float64: what an error in each series weighs, 1 in the root mean square.

    That is the inverse of what seasonal naive misses in it, as MASE has it and least squares of
    unequal variances want it: or else a few wild series say how regular ones are forecast.
    """
    naive = seasonal_naive_weights(forecaster.spec).double()
    missed, known, origins = (torch.zeros(len(pasts), dtype=torch.float64) for _ in range(3))
    for place, z, target in _pairs(forecaster, pasts, ends, most=_ORIGINS):
        off = (target - z @ naive.T).abs()  # (N, horizon)
        missed[place] += off.nansum()
        known[place] += off.isfinite().sum()
        origins[place] += len(z)
    error = missed / known  # NaN for series without an origin
    least = max(_MOST_REGULAR * float(error.nanmedian()), _TINY) if origins.any() else 1.0
    weights = error.clamp_min(least).reciprocal().nan_to_num(0.0)
    mean_square = (origins * weights.square()).sum() / origins.sum()
    return weights / mean_square.sqrt()


def _trusted(
    windows: Tensor, followed: Tensor, weights: Tensor, smooth: Tensor, stretches: float
) -> tuple[Trust, Tensor]:
    """How far to trust regression beyond smoothing, and what such lines miss, by stacking.

    Each quarter of the origins is forecast by the regression of the other three. The share of it
    that makes the mean absolute error least (Wolpert 1992; Breiman 1996) is drawn to a quarter.
    windows (N, lags), followed (N, horizon), weights (N,), smooth (horizon, lags).
    """
    plain = followed - windows @ smooth.T  # (N, horizon)
    fold = torch.arange(len(windows)) * _FOLDS // len(windows)  # (N,), each in one piece
    rest = [
        moments_of([(windows[others], followed[others], weights[others])])
        for others in (fold != k for k in range(_FOLDS))
    ]
    shares = torch.linspace(0, 1, 21, dtype=torch.float64)
    least, belief, share, gained = float("inf"), BELIEFS[0], 0.0, plain
    for each in BELIEFS if stretches >= _ENOUGH else BELIEFS[:1]:
        more = torch.zeros_like(plain)  # what regression forecasts beyond smoothing
        for k, others in enumerate(rest):
            if others is not None:
                line = others.line(smooth, stretches * (1 - 1 / _FOLDS), Trust(each, 1.0))
                here = fold == k
                more[here] = windows[here] @ (line.weight - smooth).T + line.bias
        errors = torch.stack(
            [((plain - part * more).abs() * weights[:, None]).nanmean() for part in shares]
        )
        if float(errors.min()) < _PLAINLY * least:
            least, belief, gained = float(errors.min()), each, more
            share = float(shares[errors.argmin()])
    prior = _SHARE_STRETCHES / (stretches + _SHARE_STRETCHES)
    share += prior * (_SHARE - share)
    return Trust(belief, share), plain - share * gained


def _origins(spec: Spec, length: int) -> int:
    """Origins of a series whose window is whole and whose horizon lies within it."""
    return max(0, length - spec.input_size - spec.horizon + 1)


def _pairs(
    forecaster: Forecaster, pasts: Sequence[Context], ends: NDArray[np.int64], *, most: int
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Of a series, its place, windows (N, lags) and what followed (N, horizon), float64, in the
    window's scale."""
    spec = forecaster.spec
    counts = [_origins(spec, int(end)) for end in ends]
    every = max(1, -(-sum(counts) // most))
    for place, (past, end, count) in enumerate(zip(pasts, ends, counts, strict=True)):
        if not count:
            continue
        values = to_network(torch.from_numpy(past.y[: int(end)].copy()), spec)
        chosen = torch.arange((count - 1) % every, count, every)
        for at in torch.split(chosen, _BLOCK):
            window = forecaster.encoder.scaled(values.unfold(0, spec.input_size, 1)[at])
            ahead = values.unfold(0, spec.horizon, 1)[at + spec.input_size]
            target = ((ahead - window.loc) / window.scale).clamp(-_FARTHEST, _FARTHEST)
            seen = window.loc[:, 0].isfinite() & target.isfinite().any(1)
            yield place, window.z[seen].double(), target[seen]
