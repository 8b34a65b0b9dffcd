"""Series on one regular grid: what every source yields and everything in training reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.holidays import Holidays
from models.timeline import Clock, Timeline


@dataclass(frozen=True, slots=True)
class Series:
    """One series without holes in its grid: a missing step is a NaN, not a missing row.

    start: the first step, on the timeline's clock (`models.timeline`).
    y: (T,) float64, NaN where nothing was observed.
    hist_exog: (T, n_hist) float64; futr_exog: (T + k, n_futr) float64, k >= 0 known future steps;
    stat_exog: (n_stat,) float64, a number or a category's place in the panel's list of them.
    NaN where unknown.
    """

    unique_id: str
    start: Clock
    y: NDArray[np.float64]
    hist_exog: NDArray[np.float64]
    futr_exog: NDArray[np.float64]
    stat_exog: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.y.shape[0])


@dataclass(frozen=True, slots=True)
class Panel:
    """Series that share a timeline and the same covariates, in the order of the source.

    categories: those of each stat_exog that is no number, in order. holidays: those that a
    forecaster of these series is to know.
    """

    timeline: Timeline
    series: tuple[Series, ...]
    hist_exog: tuple[str, ...] = ()
    futr_exog: tuple[str, ...] = ()
    stat_exog: tuple[str, ...] = ()
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    holidays: Holidays | None = None
