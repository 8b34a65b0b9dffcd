"""What a fit begins with: the linear map from the window that the training series themselves give.

The network's skip is that map. Solved in one go it is a forecaster of its own, hard to beat on
short series; what the gates then learn is what it misses, and they are trusted as far as there is
data. Decision 19 has the evidence.
"""

from __future__ import annotations

import math
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
from models.transform import to_data, to_network
from training.validation import Validation

_ORIGINS, _SPREAD_ORIGINS, _BLOCK = 16_384, 2_048, 2_048
"""Forecast origins that the map is solved for and that its errors are looked at, evenly spread, and
how many are held at once."""
_FARTHEST = 10.0
"""Window scales beyond which a target counts no more: least squares must not chase a spike."""
BELIEFS = (0.25, 0.05, 0.01, 0.002)
"""How much the seasonal naive forecast may be believed, a priori the first: the inverse of the sum
of the squares by which its weights are expected to be wrong, in units of the window's scale."""
_PLAINLY = 0.1
_TINY = 1e-9
_FEWEST = 20
"""Origins below which the spread of the errors is not read off them."""
_HALF = 60.0
"""Stretches of data at which the gates are trusted half."""


@dataclass(frozen=True, slots=True)
class Line:
    """A map from a scaled window to every horizon: weight (horizon, lags), bias (horizon,)."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True)
class Moments:
    """What least squares need of the windows that were learnt from.

    gram: (lags + 1, lags + 1), moment: (lags + 1, horizon), means over origins; a last column of
    ones. variance: the mean squared error of the seasonal naive forecast. origins: how many there
    are in the series, more than were looked at where they are many.
    """

    naive: Tensor
    gram: Tensor
    moment: Tensor
    variance: float
    origins: int

    def line(self, belief: float = BELIEFS[0]) -> Line:
        """Ridge regression of what followed on the windows, drawn to the seasonal naive weights.

        It minimizes the mean squared error in the scale of each window plus a penalty on the
        distance from those weights (Hoerl & Kennard 1970). As a posterior mode the penalty is the
        variance of the errors over that of a weight, divided by the number of origins that do not
        overlap: the less there is to see, the nearer the map stays to seasonal naive. belief: the
        inverse of the expected sum of the squares by which its weights are wrong.
        """
        lags, horizon = self.naive.shape[1], self.naive.shape[0]
        penalty = max(_TINY, belief * lags * self.variance * horizon / self.origins)
        ridge = penalty * torch.eye(lags + 1, dtype=torch.float64)
        change = torch.linalg.solve(self.gram + ridge, self.moment)  # (lags + 1, horizon)
        return Line(self.naive + change[:-1].T, change[-1])


def moments(
    forecaster: Forecaster, pasts: Sequence[Context], ends: NDArray[np.int64]
) -> Moments | None:
    """Of what followed the windows of series, in the scale of each window.

    ends: (n_series,) the leading steps of each of `pasts` that are learnt from. Missing values are
    zero in the window, as the network sees them; targets that are missing are left out. None where
    the network has no skip, or no origin has its whole horizon within the series.
    """
    spec = forecaster.spec
    total = sum(_origins(spec, int(end)) for end in ends)
    if forecaster.head.skip is None or not total:
        return None
    size = spec.lags + 1
    naive = seasonal_naive_weights(spec).double()  # (horizon, lags)
    gram = torch.zeros(size, size, dtype=torch.float64)
    moment = torch.zeros(size, spec.horizon, dtype=torch.float64)
    known = torch.zeros(spec.horizon, dtype=torch.float64)
    squares, n = 0.0, 0
    for z, target in _pairs(forecaster, pasts, ends, most=_ORIGINS):
        rows = torch.cat([z, z.new_ones(len(z), 1)], 1)  # (N, lags + 1)
        missed = target - z @ naive.T  # (N, horizon)
        known += missed.isfinite().sum(0)
        missed = missed.nan_to_num(0.0)
        squares += float(missed.square().sum())
        gram += rows.T @ rows
        moment += rows.T @ missed
        n += len(z)
    if not n:
        return None
    variance = squares / max(1.0, float(known.sum()))
    return Moments(naive, gram / n, moment / known.clamp_min(1.0), variance, total)


def believed(forecaster: Forecaster, found: Moments, held: Validation) -> float:
    """How much of seasonal naive to believe: less than a priori where validation shows plainly.

    Less belief must make the absolute error smaller by a tenth, and by two standard errors of the
    difference between windows.
    """
    if len(held.contexts) < 2:
        return BELIEFS[0]
    errors = [_errors(forecaster, found.line(belief), held) for belief in BELIEFS]
    best = 0
    for each in range(1, len(BELIEFS)):
        gain = errors[0] - errors[each]  # (V,)
        plain = max(_PLAINLY * errors[0].mean(), 2 * gain.std() / math.sqrt(len(gain)))
        if gain.mean() > plain and errors[each].mean() < errors[best].mean():
            best = each
    return BELIEFS[best]


def _errors(forecaster: Forecaster, line: Line, held: Validation) -> Tensor:
    """(V,) mean absolute errors of a line's forecasts, in each window's scale of validation."""
    spec = forecaster.spec
    windows = torch.full((len(held.contexts), spec.input_size), torch.nan, dtype=torch.float64)
    for row, past in enumerate(held.contexts):
        newest = torch.from_numpy(past.y[-spec.input_size :].copy())
        windows[row, windows.shape[1] - len(newest) :] = to_network(newest, spec)
    window = forecaster.encoder.scaled(windows)
    said = window.z.double() @ line.weight.T + line.bias  # (V, horizon)
    values = to_data(window.loc + window.scale * said, spec)
    missed = (values - torch.from_numpy(held.truth)).abs() / torch.from_numpy(held.scale)[:, None]
    return missed.nanmean(1)


def begin(forecaster: Forecaster, line: Line) -> None:
    """Let the skip be the line, and the gates add nothing yet but its bias."""
    head, spec = forecaster.head, forecaster.spec
    with torch.no_grad():
        _skip(forecaster).weight.copy_(line.weight)
        head.state.weight.mul_(0.1)
        bias = head.state.bias.view(spec.horizon, spec.outputs)
        bias.add_(line.bias[:, None].float())


def spread(forecaster: Forecaster, pasts: Sequence[Context], ends: NDArray[np.int64]) -> None:
    """Let the quantiles begin as far from the median as the errors of the line's forecasts are.

    Nothing changes for a point head, or where there are few errors to look at.
    """
    head, spec = forecaster.head, forecaster.spec
    if not spec.quantiles or head.skip is None:
        return
    weight = head.skip.weight.detach().double()
    bias = head.state.bias.detach().view(spec.horizon, spec.outputs)
    middle = bias[:, spec.quantiles.index(0.5)]
    missed = [
        target - z @ weight.T - middle
        for z, target in _pairs(forecaster, pasts, ends, most=_SPREAD_ORIGINS)
    ]
    errors = torch.cat(missed) if missed else torch.empty(0, spec.horizon)
    if (errors.isfinite().sum(0) < _FEWEST).any():
        return
    levels = torch.tensor(spec.quantiles, dtype=errors.dtype)
    quantiles = torch.nanquantile(errors, levels, dim=0).T  # (horizon, Q)
    centre = quantiles[:, spec.quantiles.index(0.5)]
    with torch.no_grad():
        bias.copy_(middle[:, None] + (quantiles - centre[:, None]).float())


def draw_back(forecaster: Forecaster, start: dict[str, Tensor], lengths: Sequence[int]) -> None:
    """Draw the median of a trained network towards where it began, where there is little data.

    start: the state dict of the beginning. lengths: steps of each series. The gates keep the share
    s / (s + 60) of what they add, s being the horizons in a series times the root of the number of
    series, which move together. The other quantiles keep their distance from the median.
    """
    head, spec = forecaster.head, forecaster.spec
    stretches = sum(lengths) / spec.horizon / len(lengths) ** 0.5
    less = 1.0 - stretches / (stretches + _HALF)
    middle = spec.quantiles.index(0.5) if spec.quantiles else 0
    with torch.no_grad():
        weight = head.state.weight.view(spec.horizon, spec.outputs, -1)
        weight.sub_(less * weight[:, middle : middle + 1].clone())
        bias = head.state.bias.view(spec.horizon, spec.outputs)
        began = start["head.state.bias"].view(spec.horizon, spec.outputs)
        bias.sub_(less * (bias - began)[:, middle : middle + 1])
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
) -> Iterator[tuple[Tensor, Tensor]]:
    """Windows (N, lags) and what followed (N, horizon), float64, in the window's scale."""
    spec = forecaster.spec
    counts = [_origins(spec, int(end)) for end in ends]
    every = max(1, -(-sum(counts) // most))
    for past, end, count in zip(pasts, ends, counts, strict=True):
        if not count:
            continue
        values = to_network(torch.from_numpy(past.y[: int(end)].copy()), spec)
        chosen = torch.arange((count - 1) % every, count, every)
        for at in torch.split(chosen, _BLOCK):
            window = forecaster.encoder.scaled(values.unfold(0, spec.input_size, 1)[at])
            ahead = values.unfold(0, spec.horizon, 1)[at + spec.input_size]
            target = ((ahead - window.loc) / window.scale).clamp(-_FARTHEST, _FARTHEST)
            seen = window.loc[:, 0].isfinite() & target.isfinite().any(1)
            yield window.z[seen].double(), target[seen]
