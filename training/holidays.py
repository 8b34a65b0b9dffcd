"""Which days a panel's forecaster takes for holidays, from a library that knows most countries'."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.holidays import Holidays
from training.panel import Panel

_YEARS_AHEAD = 10
"""Beyond the newest year of the data: a version that is not retrained for so long knows none."""


def with_holidays(panel: Panel, place: str | None) -> Panel:
    """The panel, for forecasters that know the public holidays of `place`; None, of none.

    place: an ISO 3166 code, of a country or of a part of one: DE, DE-BY. Raises ValueError for one
    that is not known, and where steps are counted.
    """
    if place is None:
        return panel
    if panel.timeline.kind == "integer":
        raise ValueError("holidays need time stamps, and these steps are counted")
    starts = np.array([series.start for series in panel.series])
    ends = panel.timeline.at(starts, np.array([len(series) - 1 for series in panel.series]))
    years = [int(str(day)[:4]) for day in (starts.min(), ends.max())]
    days = _days(place, range(years[0], years[1] + _YEARS_AHEAD + 1))
    return replace(panel, holidays=Holidays(place=place, days=days))


def _days(place: str, years: range) -> tuple[int, ...]:
    """Days from 1970-01-01, ascending."""
    import holidays  # noqa: PLC0415 - needed by few, and slow to import

    country, _, part = place.partition("-")
    try:
        found = holidays.country_holidays(country, subdiv=part or None, years=years)
    except NotImplementedError as error:
        raise ValueError(
            f"no holidays are known of {place!r}: write a country's code, or a part's: DE, DE-BY"
        ) from error
    return tuple(int(np.datetime64(day, "D").astype(np.int64)) for day in sorted(found))
