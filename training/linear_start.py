"""What a fit begins with: the linear map from the window that the training series themselves give.

The network's skip is that map. Solved in one go it is a forecaster of its own, hard to beat on
short series; what the gates then learn is what it misses, and they are trusted as far as there is
data. Decision 19 has the evidence.
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

_ORIGINS, _SPREAD_ORIGINS, _BLOCK = 16_384, 2_048, 2_048
"""Forecast origins that the map is solved for and that its errors are looked at, evenly spread, and
how many are held at once."""
_FARTHEST = 10.0
"""Window scales beyond which a target counts no more: least squares must not chase a spike."""
_PRIOR = 0.25
"""How much the seasonal naive forecast is believed: the inverse of four, the expected sum of the
squares by which its weights are wrong, in units of the window's scale."""
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


def solve(forecaster: Forecaster, pasts: Sequence[Context], ends: NDArray[np.int64]) -> Line | None:
    """Ridge regression of what followed on the windows before it, drawn to seasonal naive.

    ends: (n_series,) the leading steps of each of `pasts` that are learnt from. Minimizes the mean
    squared error in the scale of each window plus a penalty on the distance from the seasonal naive
    weights (Hoerl & Kennard 1970). As a posterior mode the penalty is the variance of the errors
    over that of a weight, divided by the number of origins that do not overlap: the less there is
    to see, and the worse the naive forecast explains it by chance, the nearer the map stays to it.
    Missing values are zero in the window, as the network sees them; targets that are missing are
    left out. None where the network has no skip, or no origin has its whole horizon within the
    series.
    """
    spec = forecaster.spec
    if forecaster.head.skip is None:
        return None
    total = sum(_origins(spec, int(end)) for end in ends)
    if not total:
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
        squares += float(missed.nan_to_num(0.0).square().sum())
        gram += rows.T @ rows
        moment += rows.T @ missed.nan_to_num(0.0)
        n += len(z)
    if not n:
        return None
    gram /= n
    moment /= known.clamp_min(1.0)
    variance = squares / max(1.0, float(known.sum()))
    penalty = max(_TINY, _PRIOR * spec.lags * variance * spec.horizon / total)
    ridge = penalty * torch.eye(size, dtype=torch.float64)
    change = torch.linalg.solve(gram + ridge, moment)  # (lags + 1, horizon)
    return Line(naive + change[:-1].T, change[-1])


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
