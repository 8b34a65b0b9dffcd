"""Exponential smoothing as linear maps: what it would forecast, as weights on a window's values.

With given parameters additive exponential smoothing is linear in what it has seen, so a skip can be
one. A window forgets what lies before it; smoothing nearly so.
"""

from __future__ import annotations

from itertools import product
from math import log

import torch
from torch import Tensor

from models.head import seasonal_naive_weights
from models.spec import Spec
from training.ridge import Moments

_LEVEL = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0)
_TREND = ((0.0, 1.0), *product((0.02, 0.1, 0.3), (0.8, 0.9, 0.98, 1.0)))
_SEASON = (0.02, 0.1, 0.3, 0.6)
"""The parameters that are tried: of the level, of the trend with its damping, of the season."""
_BREADTHS, _LONG = (0.0, 2.0, 5.0), 24
"""Neighbours on either side that a season's pattern is averaged with, where it has so many steps: a
week of the year was seen once or twice, and is much like the next."""
_SHARPNESS = 1.5
"""Of the likelihood, a stretch of data: more than the half that independent errors would have, as
origins that overlap tell more than those that do not."""
_NAIVE = 0.25
"""The share of seasonal naive before anything is seen; the maps have the rest in equal parts."""
_AT_ONCE = 8_000_000
"""Weights that are held at once."""
_NEGLIGIBLE = 1e-6


def likely_smoothing(spec: Spec, found: Moments, stretches: float) -> Tensor:
    """(horizon, lags): the mean of seasonal naive and the smoothing maps, by their likelihood.

    A priori seasonal naive weighs as much as a third of the maps together, however many those are.

    stretches: the number of origins that do not overlap. Few parameters made the maps, so the
    errors on what they are chosen by are not far from those on anything else.
    """
    lags, horizon = spec.lags, spec.horizon
    naive = seasonal_naive_weights(spec).double()
    seasons = [1, *(season for season in spec.season if 1 < season < lags)]  # 1: none
    count = max(1, _AT_ONCE // (lags * max(horizon, *seasons)))
    parts = [
        (part, season) for season in seasons for part in torch.split(smoothings(season), count)
    ]
    errors = [found.errors(naive[None])]
    errors += [found.errors(smoothing_maps(part, lags, horizon, season)) for part, season in parts]
    fit = -_SHARPNESS * stretches * torch.cat(errors).log()  # (1 + maps,)
    fit[0] += log(_NAIVE / (1.0 - _NAIVE) * (len(fit) - 1))
    share = torch.softmax(fit, 0)
    mean = share[0] * naive
    shares = torch.split(share[1:], [len(part) for part, _ in parts])
    for own, (part, season) in zip(shares, parts, strict=True):
        counts = own > _NEGLIGIBLE
        maps = smoothing_maps(part[counts], lags, horizon, season)
        mean += (own[counts, None, None] * maps).sum(0)
    return mean


def smoothings(period: int) -> Tensor:
    """(C, 5): choices of alpha, beta, phi, gamma and breadth, the last two 0 without a season."""
    seasons = _SEASON if period > 1 else (0.0,)
    breadths = _BREADTHS if period >= _LONG else (0.0,)
    chosen = [
        (level, trend, damping, season, breadth)
        for level, (trend, damping), season, breadth in product(_LEVEL, _TREND, seasons, breadths)
        if trend <= level
    ]
    return torch.tensor(chosen, dtype=torch.float64)


def smoothing_maps(chosen: Tensor, lags: int, horizon: int, period: int) -> Tensor:
    """(C, horizon, lags) float64: forecasts by `chosen` (C, 5), as weights on the window.

    Holt's and Winters' additive recursions with a damped trend (Gardner & McKenzie 1985; Hyndman
    et al. 2008, table 2.1), begun from the first period of the window, which must be longer than
    that. The pattern of the season is averaged over neighbours then, those near by counting more.
    The weights of a step sum to one: a window that is moved moves its forecasts with it. Each
    quantity of the recursions is a row of weights.
    """
    # breadth has no part in the recursions: choices that differ in it alone share them
    own, back = torch.unique_consecutive(chosen[:, :4], dim=0, return_inverse=True)  # (c, 4), (C,)
    alpha, beta, phi, gamma = (column[:, None] for column in own.T)  # (c, 1) each
    y = torch.eye(lags, dtype=torch.float64)
    begin = period if period > 1 else min(2, lags)
    mean = y[:begin].mean(0)
    trend = torch.where(beta > 0, _slope(y, period), 0.0)  # (C, lags)
    level = mean + trend * (begin - 1) / 2  # (C, lags)
    season = torch.zeros(len(own), period, lags, dtype=torch.float64)
    if period > 1:
        from_middle = torch.arange(period)[:, None] - (period - 1) / 2  # (period, 1)
        season += y[:period] - mean - from_middle * trend[:, None]
    for t in range(begin, lags):
        before = level + phi * trend
        pattern = season[:, t % period].clone()
        after = alpha * (y[t] - pattern) + (1 - alpha) * before
        trend = torch.where(beta > 0, beta * (after - level) + (1 - beta) * phi * trend, 0.0)
        season[:, t % period] = gamma * (y[t] - before) + (1 - gamma) * pattern
        level = after
    steps = torch.arange(1, horizon + 1)
    grown = torch.pow(phi, steps).cumsum(1)  # (c, horizon)
    ahead = level[:, None] + grown[:, :, None] * trend[:, None]  # (c, horizon, lags)
    place = (lags - 1 + steps) % period  # (horizon,)
    breadth = chosen[:, 4, None, None]
    if not breadth.any():
        return ahead.add_(season[:, place])[back]
    apart = (place[:, None] - torch.arange(period)).abs()  # (horizon, period)
    apart = torch.minimum(apart, period - apart)  # the last is the first one's neighbour
    near = (1.0 + breadth - apart).clamp_min(0.0)  # (C, horizon, period)
    return ahead[back].baddbmm_(near / near.sum(2, keepdim=True), season[back])


def _slope(y: Tensor, period: int) -> Tensor:
    """(lags,): by how much a window rises a step, from its first period (or half) to its last."""
    lags = len(y)
    if period == 1:
        period = lags // 2
    if period < 2 or lags < 2 * period:
        return torch.zeros(lags, dtype=torch.float64)
    return (y[-period:].mean(0) - y[:period].mean(0)) / (lags - period)
