"""From a panel to what a forecaster is given at an origin: everything before it, nothing after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.context import Context, covariates_ahead
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
    nothing. Raises ValueError for a covariate that the panel lacks, for a timeline that is not the
    spec's, and for an origin outside the series.
    """
    if panel.timeline != spec.timeline:
        raise ValueError(f"the forecaster runs on {spec.timeline}, the series on {panel.timeline}")
    length, horizon = len(series), spec.horizon
    futr = _chosen("futr_exog", panel.futr_exog, spec.futr_exog, series.futr_exog)
    known = np.full((length + horizon, futr.shape[1]), np.nan)  # (T + horizon, F)
    kept = min(known.shape[0], futr.shape[0])
    known[:kept] = futr[:kept]
    hist = _chosen("hist_exog", panel.hist_exog, spec.hist_exog, series.hist_exog)
    clock = panel.timeline.at(series.start, np.arange(length))
    calendar = panel.timeline.calendar(clock, spec.calendar)  # (T, 2C)
    exog = np.concatenate([calendar, hist, known[:length]], axis=1, dtype=np.float32)  # (T, X)
    ahead = known.astype(np.float32)
    stat = _chosen("stat_exog", panel.stat_exog, spec.stat_exog, series.stat_exog)
    result = []
    for origin in origins:
        if not 0 <= origin <= length:
            raise ValueError(f"origin {origin} lies outside the {length} steps of the series")
        result.append(
            Context(
                y=series.y[:origin],
                exog=exog[:origin],
                futr=ahead[origin : origin + horizon],
                stat=stat.astype(np.float32),
            )
        )
    return result


def contexts_until(panel: Panel, spec: Spec, cutoffs: NDArray[np.int64]) -> list[Context]:
    """One context a series: its leading `cutoffs` (n_series,) steps. See `contexts`."""
    return [
        context(panel, series, spec, int(cutoff))
        for series, cutoff in zip(panel.series, cutoffs, strict=True)
    ]


def _chosen(role: str, has: Sequence[str], wants: Sequence[str], values: Values) -> Values:
    """The columns (..., has) -> (..., wants), by name."""
    lacking = [name for name in wants if name not in has]
    if lacking:
        there = ", ".join(has) or "none"
        raise ValueError(f"the series lack {role} {', '.join(lacking)}; they have {there}")
    return values[..., [has.index(name) for name in wants]]
