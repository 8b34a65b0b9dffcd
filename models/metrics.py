"""How wrong a forecast is, by the definitions of the M4 competition.

`truth` and `forecast` are (..., horizon), mostly (n_series, n_windows, horizon), in data units. A
NaN truth was never observed and is left out. A NaN forecast where the truth was observed makes the
result NaN: no forecaster looks better for having kept silent. `axis` is numpy's: None for one
number over everything, else the axes to average over. Where there is nothing to average over, the
result is NaN.

Hyndman & Koehler 2006, Another look at measures of forecast accuracy, Int. J. Forecasting 22.
Makridakis, Spiliotis & Assimakopoulos 2020, The M4 competition, Int. J. Forecasting 36.
Gneiting & Raftery 2007, Strictly proper scoring rules, J. American Statistical Association 102.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Axis = int | tuple[int, ...] | None


def mean_where(terms: Floats, kept: NDArray[np.bool_], axis: Axis = None) -> Floats:
    """The mean of the kept terms; NaN, without a warning, where none is kept."""
    total = np.where(kept, terms, 0.0).sum(axis)
    count = np.broadcast_to(kept, np.shape(terms)).sum(axis)
    return np.asarray(np.where(count, total, np.nan) / np.maximum(count, 1))


def smape(truth: Floats, forecast: Floats, axis: Axis = None) -> Floats:
    """Mean of 200 |y − f| / (|y| + |f|), in 0 .. 200; 0 where both are zero (Makridakis 2020)."""
    size = np.abs(truth) + np.abs(forecast)
    share = np.abs(truth - forecast) / np.where(size == 0, 1.0, size)
    return mean_where(200.0 * share, ~np.isnan(truth), axis)


def mae(truth: Floats, forecast: Floats, axis: Axis = None) -> Floats:
    """Mean of |y − f|, in data units."""
    return mean_where(np.abs(truth - forecast), ~np.isnan(truth), axis)


def rmse(truth: Floats, forecast: Floats, axis: Axis = None) -> Floats:
    """Root of the mean of (y − f)², in data units."""
    return np.sqrt(mean_where((truth - forecast) ** 2, ~np.isnan(truth), axis))


def mase_scale(history: Floats, season: int) -> Floats:
    """Mean |y_t − y_{t−season}| of the pairs observed in (..., T), the past only: (...).

    What MASE and MSIS divide by (Hyndman & Koehler 2006, with the season as in M4). NaN where no
    pair was observed, and where all pairs are equal to rounding: nothing can be scaled by zero.
    """
    past, now = history[..., :-season], history[..., season:]
    scale = mean_where(np.abs(now - past), ~np.isnan(now - past), -1)
    largest = np.max(np.abs(history), axis=-1, initial=0.0, where=~np.isnan(history))
    smallest = np.maximum(np.finfo(np.float64).eps * largest, np.finfo(np.float64).tiny)
    return np.asarray(np.where(scale > smallest, scale, np.nan))


def mase(truth: Floats, forecast: Floats, scale: Floats, axis: Axis = None) -> Floats:
    """Mean of |y − f| / scale, scale (...) as from `mase_scale`; where that is NaN, left out."""
    return _scaled(np.abs(truth - forecast), truth, scale, axis)


def msis(
    truth: Floats,
    lower: Floats,
    upper: Floats,
    scale: Floats,
    axis: Axis = None,
    *,
    alpha: float = 0.05,
) -> Floats:
    """Mean scaled interval score of the central 1 − alpha interval (Gneiting & Raftery 2007).

    Mean of (u − l + 2/alpha (l − y)⁺ + 2/alpha (y − u)⁺) / scale, as M4 had it at 95 %.
    """
    below, above = np.maximum(lower - truth, 0.0), np.maximum(truth - upper, 0.0)
    return _scaled(upper - lower + (below + above) * 2.0 / alpha, truth, scale, axis)


def coverage(truth: Floats, lower: Floats, upper: Floats, axis: Axis = None) -> Floats:
    """The share of truths within lower .. upper, both included."""
    inside = np.where(np.isnan(lower + upper), np.nan, (lower <= truth) & (truth <= upper))
    return mean_where(inside, ~np.isnan(truth), axis)


def pinball(truth: Floats, quantiles: Floats, levels: Sequence[float], axis: Axis = None) -> Floats:
    """Mean over levels of max(q (y − f), (q − 1) (y − f)) (Koenker & Bassett 1978).

    quantiles: (..., horizon, len(levels)). At the level 0.5 alone it is half the MAE.
    """
    return mean_where(_pinballs(truth, quantiles, levels), ~np.isnan(truth), axis)


def weighted_quantile_loss(
    truth: Floats, quantiles: Floats, levels: Sequence[float], axis: Axis = None
) -> Floats:
    """2 Σ pinball / Σ |y|, its mean over levels (Salinas et al. 2020, DeepAR, there rho-risk).

    Sums, not means of ratios: a series weighs as much as its values do. NaN where all are zero,
    or so near to it that the ratio is no finite number.
    """
    observed = ~np.isnan(truth)
    loss = mean_where(_pinballs(truth, quantiles, levels), observed, axis)
    size = mean_where(np.abs(truth), observed, axis)
    return _ratio(2.0 * loss, size)


def owa(smape: float, mase: float, naive2_smape: float, naive2_mase: float) -> float:
    """Overall weighted average: both errors over those of Naive2, averaged (Makridakis 2020)."""
    return (smape / naive2_smape + mase / naive2_mase) / 2.0


def _pinballs(truth: Floats, quantiles: Floats, levels: Sequence[float]) -> Floats:
    q = np.asarray(levels, dtype=np.float64)  # (Q,)
    error = truth[..., None] - quantiles  # (..., horizon, Q)
    return np.asarray(np.maximum(q * error, (q - 1.0) * error).mean(axis=-1))


def _scaled(errors: Floats, truth: Floats, scale: Floats, axis: Axis) -> Floats:
    by = np.asarray(scale, dtype=np.float64)[..., None]
    return mean_where(_ratio(errors, by), ~np.isnan(truth) & ~np.isnan(by), axis)


def _ratio(over: Floats, under: Floats) -> Floats:
    """NaN, never infinite, where there is nothing to divide by."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratio = over / under
    return np.asarray(np.where(np.isfinite(ratio), ratio, np.nan))
