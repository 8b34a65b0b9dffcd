"""Naive2, the benchmark that M4 divides by: the last value, seasonally adjusted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_T90 = 1.645  # two-sided 90 % of the normal distribution


def naive2(y: Floats, season: int, horizon: int) -> Floats:
    """Forecast (horizon,) of complete, positive y (T,), as the M4 benchmark code does.

    Makridakis et al. 2020; `Naive2` in Benchmarks and Evaluation.R of Mcompetitions/M4-methods: if
    the 90 % autocorrelation test finds a season, y is divided by the indices of a classical
    multiplicative decomposition, its last value repeated and multiplied back. Raises ValueError
    for an empty or incomplete y, and for a seasonal one that is not positive.
    """
    if not y.size or np.isnan(y).any():
        raise ValueError("Naive2 needs every value")
    if not is_seasonal(y, season):
        return np.repeat(y[-1], horizon)
    if not (y > 0).all():
        raise ValueError("multiplicative seasons need positive values")
    indices = seasonal_indices(y, season)
    ahead = indices[(y.size + np.arange(horizon)) % season]
    return np.asarray(y[-1] / indices[(y.size - 1) % season] * ahead)


def is_seasonal(y: Floats, season: int) -> bool:
    """Whether the autocorrelation at `season` leaves the 90 % band; M4 asks for three seasons.

    The band at lag m is 1.645 √((1 + 2 Σ_{i<m} r_i²) / n), Bartlett's formula.
    """
    if season < 2 or y.size < 3 * season or np.ptp(y) == 0:
        return False
    deviation = y - y.mean()
    r = np.array([deviation[lag:] @ deviation[:-lag] for lag in range(1, season + 1)])
    r /= deviation @ deviation
    limit = _T90 * np.sqrt((1 + 2 * np.sum(r[:-1] ** 2)) / y.size)
    return bool(np.abs(r[-1]) > limit)


def seasonal_indices(y: Floats, season: int) -> Floats:
    """Multiplicative indices (season,) by place in the season, mean 1: R's `decompose`.

    The trend is the centred moving average over one season, half weights at both ends if even.
    """
    weights = np.ones(season) if season % 2 else np.r_[0.5, np.ones(season - 1), 0.5]
    trend = np.convolve(y, weights / season, mode="valid")
    half = season // 2
    ratio = np.full(-(-y.size // season) * season, np.nan)
    ratio[half : half + trend.size] = y[half : half + trend.size] / trend
    indices = np.nanmean(ratio.reshape(-1, season), axis=0)
    return np.asarray(indices / indices.mean())
