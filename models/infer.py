"""The frequency that time stamps keep, read off the stamps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .aliases import Alias
from .frequency import months_of, weekdays
from .iso import DAY

_SHARE = 0.1
"""The part of all steps that must be the shortest one: a grid that next to no step keeps to comes
from a stray stamp, not from gaps."""


def infer_freq(
    clock: NDArray[np.datetime64],
    series: NDArray[np.integer] | None = None,
    *,
    local: bool = True,
) -> str:
    """The canonical alias of the grid that stamps lie on, gaps allowed: the coarsest that fits.

    clock: (n,) datetime64, the time on the wall, or UTC with local=False: there 24 hours are hours,
    not a day.
    series: (n,) which series each stamp belongs to, where there are several, each ascending and in
    one piece; without it the stamps are one series in any order.
    Raises ValueError where there is no such grid, or fewer than two stamps of a series.
    """
    stamps = clock.astype("M8[us]").astype(np.int64)
    if series is None:
        stamps = np.unique(stamps)
    within = np.ones(max(len(stamps) - 1, 0), bool) if series is None else series[1:] == series[:-1]

    def steps(units: NDArray[np.int64]) -> NDArray[np.int64]:
        apart: NDArray[np.int64] = np.diff(units)[within]
        return apart[apart > 0]

    if not len(steps(stamps)):
        raise ValueError("a single time stamp has no frequency: give one")
    if local and (stamps % DAY == stamps[0] % DAY).all():
        return str(_days(stamps, steps))
    return str(Alias("fixed", _even(steps(stamps), 1)))


def _days(
    stamps: NDArray[np.int64], steps: Callable[[NDArray[np.int64]], NDArray[np.int64]]
) -> Alias:
    """The alias of stamps that share a time of day."""
    for last in (False, True):
        months = months_of(stamps, last=last)
        if months.valid.all():
            return _months(months.units, _even(steps(months.units), 30 * DAY), last)
    count = _even(steps(stamps // DAY), DAY)
    weekday = weekdays(stamps)
    if count % 7 == 0 and (weekday == weekday[0]).all():
        return Alias("W", count // 7, int(weekday[0]))
    over_weekends = (steps(stamps // DAY + 3 - weekday) > 0).any()
    if count == 1 and (weekday < 5).all() and over_weekends:
        return Alias("B", 1)
    return Alias("D", count)


def _months(months: NDArray[np.int64], count: int, last: bool) -> Alias:
    anchor = int(months[0])
    if count % 12 == 0 and (months % 12 == anchor % 12).all():
        return Alias("YE" if last else "YS", count // 12, anchor % 12)
    if count % 3 == 0 and (months % 3 == anchor % 3).all():
        return Alias("QE" if last else "QS", count // 3, anchor % 3)
    return Alias("ME" if last else "MS", count)


def _even(steps: NDArray[np.int64], unit: int) -> int:
    """The step that all are multiples of. unit: what one of them measures, in microseconds."""
    sizes, counts = np.unique(steps, return_counts=True)
    step = int(np.gcd.reduce(sizes))
    usual = int(sizes[counts.argmax()])
    share = float(counts[sizes == step].sum() / counts.sum())
    if share < _SHARE:
        raise ValueError(
            f"no even frequency: most steps are {duration(usual * unit)}, "
            f"but others share only {duration(step * unit)} with it; give the frequency"
        )
    return step


def duration(microseconds: int) -> str:
    """A length of time for people: "7 days", "15min", "1h"."""
    if microseconds % DAY == 0:
        days = microseconds // DAY
        return f"{days} day{'s' if days > 1 else ''}"
    alias = str(Alias("fixed", microseconds))
    return alias if alias[0].isdigit() else f"1{alias}"
