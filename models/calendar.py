"""Calendar features of time stamps: where each stands in its hour, day, week, month and year."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .iso import DAY

CalendarFeature = Literal[
    "minute_of_hour",
    "hour_of_day",
    "day_of_week",
    "day_of_month",
    "day_of_year",
    "week_of_year",
    "month_of_year",
]

_HOUR = DAY // 24


def waves(wall: NDArray[np.int64], features: tuple[CalendarFeature, ...]) -> NDArray[np.float32]:
    """Sine and cosine of each feature. wall: (n,) microseconds of local time -> (n, 2 * features).

    A feature turns once in its hour, day, week, month or year. `minute_of_hour` and `hour_of_day`
    move evenly, so that quarters of an hour differ; the others move by whole days, weeks or months.
    """
    columns = np.empty((len(wall), 2 * len(features)), np.float32)
    for k, feature in enumerate(features):
        turn = 2.0 * np.pi * _phase(wall, feature)
        columns[:, 2 * k] = np.sin(turn)
        columns[:, 2 * k + 1] = np.cos(turn)
    return columns


def _phase(wall: NDArray[np.int64], feature: CalendarFeature) -> NDArray[np.float64]:
    """The part of its period that has passed, in [0, 1). (n,) -> (n,)."""
    if feature == "minute_of_hour":
        return wall % _HOUR / _HOUR
    if feature == "hour_of_day":
        return wall % DAY / DAY
    days = wall // DAY
    if feature == "day_of_week":
        return (days + 3) % 7 / 7  # 1970-01-01 was a Thursday; weeks begin on Monday
    return _phase_of_date(days, feature)


def _phase_of_date(days: NDArray[np.int64], feature: CalendarFeature) -> NDArray[np.float64]:
    month = days.astype("M8[D]").astype("M8[M]")
    year = month.astype("M8[Y]")
    if feature == "month_of_year":
        return month.astype(np.int64) % 12 / 12
    period = month if feature == "day_of_month" else year
    first = period.astype("M8[D]").astype(np.int64)
    length = (period + 1).astype("M8[D]").astype(np.int64) - first
    if feature == "week_of_year":  # weeks from New Year, since ISO's jump between 52 and 53
        return (days - first) // 7 * 7 / length
    return (days - first) / length
