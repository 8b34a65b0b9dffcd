"""What a forecaster must beat: seasonal naive, and exponential smoothing by statsforecast."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from models.context import Context
from models.naive import seasonal_naive
from models.spec import Spec

Values = NDArray[np.float64]

LARGEST_ETS_SEASON = 24
"""Beyond it exponential smoothing has more seasonal states than can be fitted; see `auto_ets`."""
_LONGEST = 10_000
"""Newest values that exponential smoothing is fitted to: it forgets, and 25,000 take 20 seconds a
window. On two hourly series 6,000 did as well as 16,000 and 25,000."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """A forecaster that is fitted anew to each context.

    forecast: (contexts, spec) -> (n, spec.horizon, spec.outputs), NaN rows where it failed.
    max_series: a backtest asks it of no more than so many series, drawn by the backtest's seed;
        None for all.
    """

    name: str
    forecast: Callable[[Sequence[Context], Spec], Values]
    max_series: int | None = None


def default_baselines(spec: Spec) -> tuple[Baseline, ...]:
    """The two that every backtest reports."""
    return naive(), auto_ets(spec)


def naive() -> Baseline:
    """The seasonal naive forecast at the season that errors are scaled by; without one, naive."""
    return Baseline("seasonal_naive", _naive)


def auto_ets(spec: Spec, *, max_series: int | None = 50, n_jobs: int = 1) -> Baseline:
    """AutoETS of statsforecast at the season that errors are scaled by.

    Up to 24 steps a season it is "auto_ets", all of exponential smoothing chosen by AICc. Beyond,
    R's `ets` refuses seasons and points to `stlf`. statsforecast fits them, but its optimiser
    barely leaves its start: on the last year of the weekly CO2 record the level smoothing went from
    0.004 to 0.005, every seasonal model lost to none by AICc, and MASE was 1.29 in 1.4 s (seasonal
    naive 1.14). There it is "stl_auto_ets": STL takes the season out, AutoETS forecasts the rest
    (MASE 0.27 in 0.13 s). Its intervals hold the season for known, as `stlf`'s do.

    At 24 the optimiser stays near its start as well. On 30 of the M4 hourly series MASE was 1.98
    where STL and AutoETS together had 1.63 at a tenth of the time: do not take it for the best that
    exponential smoothing can do.

    Missing values are filled by linear interpolation for this baseline only, leading ones dropped.
    A series too short for the season goes without it. A series that statsforecast fails on gives
    NaN rows. The median is the mean that statsforecast gives; quantiles are sorted.

    It costs half a second a window for 960 values with season 24, five for 10,000; so no more than
    `max_series` series take part, each with its newest 10,000 values. n_jobs: processes to fit in.
    """
    name = "auto_ets" if _season(spec) <= LARGEST_ETS_SEASON else "stl_auto_ets"
    return Baseline(name, partial(_auto_ets, n_jobs=n_jobs), max_series)


def _season(spec: Spec) -> int:
    return spec.season[0] if spec.season else 1


def _naive(contexts: Sequence[Context], spec: Spec) -> Values:
    if not contexts:
        return np.empty((0, spec.horizon, spec.outputs))
    season, horizon, quantiles = _season(spec), spec.horizon, spec.quantiles
    return np.stack([seasonal_naive(c.y, season, horizon, quantiles) for c in contexts])


def _auto_ets(contexts: Sequence[Context], spec: Spec, *, n_jobs: int) -> Values:
    fit = partial(_ets_or_nan, season=_season(spec), horizon=spec.horizon, quantiles=spec.quantiles)
    pasts = [context.y for context in contexts]
    values = np.full((len(contexts), spec.horizon, spec.outputs), np.nan)
    if n_jobs == 1 or len(pasts) < 2:
        for row, past in enumerate(pasts):
            values[row] = fit(past)
        return values
    workers = min(n_jobs, len(pasts))
    # A fork of a process that runs torch's threads may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for row, value in enumerate(pool.map(fit, pasts, chunksize=4)):
            values[row] = value
    return values


def _ets_or_nan(y: Values, season: int, horizon: int, quantiles: tuple[float, ...]) -> Values:
    from statsforecast import models  # noqa: PLC0415 - takes two seconds

    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            values = _ets(models, filled(y)[-_LONGEST:], season, horizon, quantiles)
    except Exception:  # noqa: BLE001 - statsforecast raises bare Exception where nothing fits
        return np.full((horizon, len(quantiles) or 1), np.nan)
    return np.where(np.isfinite(values).all(), values, np.nan)


def _ets(
    models: ModuleType, y: Values, season: int, horizon: int, quantiles: tuple[float, ...]
) -> Values:
    widths = {q: round(100 * abs(1 - 2 * q), 9) for q in quantiles if q != 0.5}
    if season <= LARGEST_ETS_SEASON or y.size < 2 * season:
        model = models.AutoETS(season_length=season if y.size >= 2 * season else 1)
    else:
        model = models.MSTL(season_length=season, trend_forecaster=models.AutoETS(model="ZZN"))
    answer = model.forecast(y, horizon, level=sorted(set(widths.values())) or None)
    columns = [
        answer["mean" if q == 0.5 else f"{'lo' if q < 0.5 else 'hi'}-{widths[q]}"]
        for q in quantiles or (0.5,)
    ]
    return np.sort(np.stack(columns, axis=-1), axis=-1)


def filled(y: Values) -> Values:
    """The observed part of y, holes filled on a straight line, the last value held to the end."""
    observed = np.flatnonzero(~np.isnan(y))
    if not observed.size:
        return np.empty(0)
    steps = np.arange(observed[0], y.size)
    return np.interp(steps, observed, y[observed])
