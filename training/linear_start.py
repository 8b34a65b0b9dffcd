"""What a fit begins with: the linear map from the window that the training series themselves give.

The network's skip is that map. Solved in one go it is a forecaster of its own, hard to beat on
short series; what the gates then learn is what it misses, and they are trusted as far as there is
data. Decisions 19 and 20 have the evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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
_FARTHEST = 10.0
"""Window scales beyond which a target counts no more: least squares must not chase a spike."""
BELIEFS = (0.25, 0.05, 0.01, 0.002)
"""How much exponential smoothing may be believed (`training.ridge.Trust`), a priori the first."""
_PLAINLY, _ENOUGH = 0.98, 30.0
"""By what part less belief must lessen the error, and the stretches that may say so."""
_SHARE, _SHARE_STRETCHES = 0.5, 20.0
"""The share of the regression a priori, and for how many stretches of data that stands."""
_FOLDS = 4
_MOST_REGULAR, _TINY = 0.05, 1e-9
"""What seasonal naive misses in a series, as a share of what it misses in the middle one, below
which the series counts no more for being regular."""
_FEWEST = 20
"""Origins below which the spread of the errors is not read off them."""
_HALF = 60.0
"""Stretches of data at which the gates are trusted half."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the windows of series tell.

    line: regression drawn to the exponential smoothing that is likely, as far as cross-validation
    trusts it. missed: (N, horizon) what it missed in windows that it was not solved for, in their
    scale.
    """

    line: Line
    trust: Trust
    missed: Tensor


def look(forecaster: Forecaster, pasts: Sequence[Context], ends: NDArray[np.int64]) -> Found | None:
    """At what followed the windows of series.

    ends: (n_series,) the leading steps of each of `pasts` that are learnt from. None where the
    network has no skip.
    """
    spec = forecaster.spec
    if forecaster.head.skip is None:
        return None
    # origins whose horizons do not overlap
    counts = [_origins(spec, int(end)) for end in ends]
    stretches = sum(1 + (count - 1) / spec.horizon for count in counts if count)
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
    return Found(found.line(smooth, stretches, trust), trust, missed)


def _nothing(spec: Spec) -> Found:
    """What is believed where no window is whole and has its horizon after it: seasonal naive."""
    naive = seasonal_naive_weights(spec).double()
    line = Line(naive, torch.zeros(spec.horizon, dtype=torch.float64))
    return Found(line, Trust(BELIEFS[0], 0.0), torch.empty(0, spec.horizon, dtype=torch.float64))


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
    that makes the mean absolute error least (Wolpert 1992; Breiman 1996) is drawn to a half.
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


def begin(forecaster: Forecaster, line: Line) -> None:
    """Let the skip be the line; gates and covariates ahead add nothing yet but its bias."""
    head, spec = forecaster.head, forecaster.spec
    with torch.no_grad():
        _skip(forecaster).weight.copy_(line.weight)
        head.state.weight.mul_(0.1)
        if head.n_futr:
            head.futr_output.weight.zero_()
        bias = head.state.bias.view(spec.horizon, spec.outputs)
        bias.add_(line.bias[:, None].float())


def spread(forecaster: Forecaster, missed: Tensor) -> None:
    """Let the quantiles begin as far from the median as those of the errors (N, horizon) are.

    Nothing changes for a point head, or where there are few errors to look at.
    """
    head, spec = forecaster.head, forecaster.spec
    if not spec.quantiles or (missed.isfinite().sum(0) < _FEWEST).any():
        return
    bias = head.state.bias.detach().view(spec.horizon, spec.outputs)
    middle = bias[:, spec.quantiles.index(0.5)]
    levels = torch.tensor(spec.quantiles, dtype=missed.dtype)
    quantiles = torch.nanquantile(missed, levels, dim=0).T  # (horizon, Q)
    centre = quantiles[:, spec.quantiles.index(0.5)]
    with torch.no_grad():
        bias.copy_(middle[:, None] + (quantiles - centre[:, None]).float())


def draw_back(forecaster: Forecaster, start: dict[str, Tensor], lengths: Sequence[int]) -> None:
    """Draw a trained network towards where it began, where there is little data.

    start: the state dict of the beginning. lengths: steps of each series. Gates and covariates
    ahead keep the share s / (s + 60) of what they add, and quantiles of what they have moved, s
    being the horizons in a series times the root of the number of series, which move together.
    """
    head, spec = forecaster.head, forecaster.spec
    stretches = sum(lengths) / spec.horizon / len(lengths) ** 0.5
    less = 1.0 - stretches / (stretches + _HALF)
    with torch.no_grad():
        head.state.weight.mul_(1.0 - less)
        if head.n_futr:
            head.futr_output.weight.mul_(1.0 - less)
        head.state.bias.lerp_(start["head.state.bias"], less)
        _skip(forecaster).weight.lerp_(start["head.skip.weight"], less)


def move(forecaster: Forecaster, before: Line, after: Line) -> None:
    """Put the line of more data in the place of the one that training began with."""
    head, spec = forecaster.head, forecaster.spec
    with torch.no_grad():
        _skip(forecaster).weight.add_(after.weight - before.weight)
        head.state.bias.view(spec.horizon, spec.outputs).add_(
            (after.bias - before.bias)[:, None].float()
        )


def _skip(forecaster: Forecaster) -> nn.Linear:
    if forecaster.head.skip is None:
        raise ValueError("this network has no map from the window")
    return forecaster.head.skip


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
