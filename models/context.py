"""What a forecaster is given to forecast one series: its past, and what is known of its future."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .holidays import holidays_at
from .spec import Spec
from .timeline import ClockArray


@dataclass(frozen=True, slots=True)
class Context:
    """One series up to its forecast origin, on its regular grid.

    y: (T,) float64, the units of the data, NaN where nothing was observed.
    exog: (T, spec.exog_size) float32, the calendar's sines and cosines, then hist_exog, then
        futr_exog in the spec's order, in their own units, then holidays; NaN where unknown.
    futr: (horizon, spec.n_futr) float32, the steps after the origin.
    stat: (len(spec.stat_exog),) float32.
    ahead: (h, spec.exog_size) float32, the covariates of the steps after the origin as in `exog`:
        needed where h steps are forecast, more than the horizon.
    """

    y: NDArray[np.float64]
    exog: NDArray[np.float32]
    futr: NDArray[np.float32]
    stat: NDArray[np.float32]
    ahead: NDArray[np.float32] | None = None


def covariates_ahead(
    spec: Spec, clock: ClockArray, futr: NDArray[np.floating]
) -> NDArray[np.float32]:
    """`Context.ahead` of steps at `clock` (h,), of which futr (h, len(futr_exog)) is known."""
    ahead = np.full((len(clock), spec.exog_size), np.nan, np.float32)
    begin = spec.exog_size - spec.n_futr
    ahead[:, begin : begin + len(spec.futr_exog)] = futr
    put_clock(spec, clock, ahead)
    return ahead


def put_clock(spec: Spec, clock: ClockArray, exog: NDArray[np.float32]) -> None:
    """Write what time alone tells of the steps at `clock` (T,) into exog (T, spec.exog_size): the
    calendar in the first columns, holidays in the last."""
    if spec.calendar:
        exog[:, : 2 * len(spec.calendar)] = spec.timeline.calendar(clock, spec.calendar)
    if spec.holidays:
        exog[:, -1:] = holidays_at(spec, clock)
