"""The forecast to beat: what was observed a season ago."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray


def seasonal_naive(
    y: NDArray[np.float64], season: int, horizon: int, quantiles: Sequence[float] = ()
) -> NDArray[np.float64]:
    """Forecast each step by the newest observed value of its place in the season.

    y: (T,) NaN where nothing was observed; season: steps, 1 for the last value whatever its place.
    Returns (horizon, len(quantiles)), or (horizon, 1), the point forecast, without quantiles. Where
    a place in the season was never observed, the newest value of all stands in; NaN if there is
    none.

    Quantiles are normal around the point with deviation sigma √n, n the seasons between the value
    and the step it stands for: sigma √(k + 1) of Hyndman & Athanasopoulos, Forecasting: Principles
    and Practice, section 5.5, when the newest season is complete. sigma² is the mean square of the
    in-sample seasonal residuals; without any, of the deviations from the mean; of one value alone
    nothing is known but the point, and the other quantiles are NaN.
    """
    if season < 1:
        raise ValueError("a season has at least one step")
    observed = np.flatnonzero(~np.isnan(y))
    levels = np.array([NormalDist().inv_cdf(level) for level in quantiles] or [0.0])  # (Q,)
    if not observed.size:
        return np.full((horizon, levels.size), np.nan)
    newest = np.full(season, observed[-1])  # by place in the season
    newest[observed % season] = observed  # of equal places the last assignment, the newest, stays
    steps = y.size + np.arange(horizon)
    source = newest[steps % season]  # (horizon,)
    seasons = -((source - steps) // season)  # how many back, begun ones whole
    spread = _sigma(y, season) * np.sqrt(seasons)
    around = np.where(levels == 0.0, 0.0, spread[:, None] * levels)  # (horizon, Q)
    return np.asarray(y[source][:, None] + around)


def _sigma(y: NDArray[np.float64], season: int) -> float:
    residuals = y[season:] - y[:-season]
    residuals = residuals[~np.isnan(residuals)]
    if residuals.size:
        return float(np.sqrt(np.mean(residuals**2)))
    values = y[~np.isnan(y)]
    return float(np.std(values)) if values.size > 1 else np.nan
