"""How well one forecaster did on the windows of a backtest: overall, by horizon, by series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models import metrics
from models.levels import at_levels
from models.metrics import Axis, mean_where
from training.origins import Windows

Values = NDArray[np.float64]

METRICS = ("mase", "smape", "mae", "rmse", "wql", "coverage_80", "coverage_95", "msis")
LOSSES = ("mase", "smape", "mae", "rmse", "wql", "msis")
"""The metrics of which less is better."""


@dataclass(frozen=True, slots=True)
class Forecasts:
    """What one forecaster said of every window.

    levels: ascending quantile levels, empty for a point forecaster.
    values: (S, W, horizon, len(levels) or 1) data units, NaN where it said nothing.
    asked: (S, W) bool, the windows that it was asked for.
    """

    levels: tuple[float, ...]
    values: Values
    asked: NDArray[np.bool_]

    @property
    def answered(self) -> NDArray[np.bool_]:
        """(S, W) the windows that have a whole, finite forecast."""
        return self.asked & np.isfinite(self.values).all(axis=(-2, -1))

    @property
    def point(self) -> Values:
        """(S, W, horizon) the point forecast: the median, or the point forecaster's."""
        return self.values[..., self.levels.index(0.5) if self.levels else 0]

    def quantile(self, level: float) -> Values:
        """(S, W, horizon) at a level, linear between those trained, NaN outside them."""
        return self.quantiles((level,))[..., 0]

    def quantiles(self, levels: Sequence[float]) -> Values:
        """(S, W, horizon, len(levels)), NaN all over if a level lies outside those trained."""
        try:
            return at_levels(self.levels, self.values, levels)
        except ValueError:
            return np.full((*self.values.shape[:-1], len(levels)), np.nan)


@dataclass(frozen=True, slots=True)
class Scores:
    """Each of `METRICS`, NaN where it has no value (a point forecaster has no intervals).

    A series' figure is over its windows and steps. Overall, and at each step of the horizon, it is
    the mean over series, as M4 has it, so that a series with fewer windows counts as much as
    another; for rmse the root of the mean square; for wql the ratio of sums over all series.

    overall: by metric; by_horizon: (horizon,) by metric; by_series: (S,) by metric.
    n_series, n_windows: that count in these; n_failed: windows it was asked for and gave no finite
    forecast, which do not; n_unscaled: series without MASE and MSIS, since their past is constant.
    """

    overall: dict[str, float]
    by_horizon: dict[str, Values]
    by_series: dict[str, Values]
    n_series: int
    n_windows: int
    n_failed: int
    n_unscaled: int


def score(windows: Windows, forecasts: Forecasts, levels: Sequence[float]) -> Scores:
    """Score the windows that have a forecast; levels: those that wql is the mean over."""
    counts = forecasts.answered & (windows.origins >= 0)  # (S, W)
    truth = np.where(counts[..., None], windows.truth, np.nan)  # (S, W, horizon)
    low80, high80 = forecasts.quantile(0.1), forecasts.quantile(0.9)
    low95, high95 = forecasts.quantile(0.025), forecasts.quantile(0.975)
    point, scale = forecasts.point, windows.scale
    measures: dict[str, Callable[[Axis], Values]] = {
        "mase": partial(metrics.mase, truth, point, scale),
        "smape": partial(metrics.smape, truth, point),
        "mae": partial(metrics.mae, truth, point),
        "rmse": partial(metrics.rmse, truth, point),
        "wql": partial(metrics.weighted_quantile_loss, truth, forecasts.quantiles(levels), levels),
        "coverage_80": partial(metrics.coverage, truth, low80, high80),
        "coverage_95": partial(metrics.coverage, truth, low95, high95),
        "msis": partial(metrics.msis, truth, low95, high95, scale),
    }
    by_series = {name: measure((1, 2)) for name, measure in measures.items()}  # (S,)
    by_horizon = {name: _mean(name, measure(1)) for name, measure in measures.items()}
    overall = {name: _mean(name, each) for name, each in by_series.items()}
    by_horizon["wql"], overall["wql"] = measures["wql"]((0, 1)), measures["wql"](None)
    scored = counts.any(axis=1)
    return Scores(
        overall={name: float(value) for name, value in overall.items()},
        by_horizon=by_horizon,
        by_series=by_series,
        n_series=int(scored.sum()),
        n_windows=int(counts.sum()),
        n_failed=int((forecasts.asked & ~forecasts.answered).sum()),
        n_unscaled=int((scored & np.isnan(by_series["mase"])).sum()),
    )


def _mean(name: str, each: Values) -> Values:
    """Over series: (S, ...) -> (...)."""
    if name == "rmse":
        return np.sqrt(mean_where(each**2, ~np.isnan(each), 0))
    return mean_where(each, ~np.isnan(each), 0)
