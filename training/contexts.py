"""From a panel to what a forecaster is given at an origin: everything before it, nothing after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.categories import stat_values
from models.context import Context, covariates_ahead
from models.holidays import holidays_at
from models.spec import Spec
from training.panel import Panel, Series

Values = NDArray[np.float64]


def context(panel: Panel, series: Series, spec: Spec, origin: int, h: int | None = None) -> Context:
    """What is known of `series` when its step `origin` is the first to be forecast.

    origin: 0 .. len(series), the number of leading steps that are seen. h: steps to be forecast
    where those are not the horizon. See `contexts`.
    """
    found = contexts(panel, series, spec, [origin])[0]
    if h is None or h <= spec.horizon:
        return found
    columns = _chosen("futr_exog", panel.futr_exog, spec.futr_exog, series.futr_exog)
    futr = np.full((h, columns.shape[1]), np.nan)
    known = columns[origin : origin + h]
    futr[: len(known)] = known
    clock = panel.timeline.at(series.start, np.arange(origin, origin + h))
    return replace(found, ahead=covariates_ahead(spec, clock, futr))


def contexts(panel: Panel, series: Series, spec: Spec, origins: Iterable[int]) -> list[Context]:
    """One context an origin. They share memory with each other and with the series.

    Covariates are matched by name and role, put in the spec's order, and NaN where the panel knows
    nothing, or a category that the spec does not. Raises ValueError for a covariate that the panel
    lacks or has of another kind, for a timeline that is not the spec's, and for an origin outside
    the series.
    """
    if panel.timeline != spec.timeline:
        raise ValueError(f"the forecaster runs on {spec.timeline}, the series on {panel.timeline}")
    length, horizon = len(series), spec.horizon
    futr = _chosen("futr_exog", panel.futr_exog, spec.futr_exog, series.futr_exog)
    known = np.full((length + horizon, futr.shape[1]), np.nan)  # (T + horizon, F)
    kept = min(known.shape[0], futr.shape[0])
    known[:kept] = futr[:kept]
    hist = _chosen("hist_exog", panel.hist_exog, spec.hist_exog, series.hist_exog)
    clock = panel.timeline.at(series.start, np.arange(length + (horizon if spec.holidays else 0)))
    if spec.holidays:
        known = np.c_[known, holidays_at(spec, clock)]
    calendar = panel.timeline.calendar(clock[:length], spec.calendar)  # (T, 2C)
    exog = np.concatenate([calendar, hist, known[:length]], axis=1, dtype=np.float32)  # (T, X)
    ahead = known.astype(np.float32)
    stat = _stat(panel, series, spec)
    result = []
    for origin in origins:
        if not 0 <= origin <= length:
            raise ValueError(f"origin {origin} lies outside the {length} steps of the series")
        result.append(
            Context(
                y=series.y[:origin],
                exog=exog[:origin],
                futr=ahead[origin : origin + horizon],
                stat=stat,
            )
        )
    return result


def contexts_until(panel: Panel, spec: Spec, cutoffs: NDArray[np.int64]) -> list[Context]:
    """One context a series: its leading `cutoffs` (n_series,) steps. See `contexts`."""
    return [
        context(panel, series, spec, int(cutoff))
        for series, cutoff in zip(panel.series, cutoffs, strict=True)
    ]


def _stat(panel: Panel, series: Series, spec: Spec) -> NDArray[np.float32]:
    """(n_stat,) as the spec has them: a category by its place in the spec's list, not the panel's.

    Raises ValueError where the one has numbers and the other categories.
    """
    values = _chosen("stat_exog", panel.stat_exog, spec.stat_exog, series.stat_exog)
    given: dict[str, float | str | None] = {}
    for name, value in zip(spec.stat_exog, values.tolist(), strict=True):
        categories = panel.categories.get(name)
        if (categories is None) != (name not in spec.categories):
            kinds = ("numbers", "categories") if categories is None else ("categories", "numbers")
            raise ValueError(f"stat_exog {name} holds {kinds[0]}, the forecaster knows {kinds[1]}")
        if not np.isnan(value):
            given[name] = value if categories is None else categories[int(value)]
    return stat_values(spec, given)


def _chosen(role: str, has: Sequence[str], wants: Sequence[str], values: Values) -> Values:
    """The columns (..., has) -> (..., wants), by name."""
    lacking = [name for name in wants if name not in has]
    if lacking:
        there = ", ".join(has) or "none"
        raise ValueError(f"the series lack {role} {', '.join(lacking)}; they have {there}")
    return values[..., [has.index(name) for name in wants]]
