"""Time zones over arrays: offsets from UTC, and local times that came twice or never."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

ONCE, TWICE, NEVER = 0, 1, 2
"""How often a local time is shown by the clock on the wall: the hour that daylight saving repeats
comes twice, the one that it skips never."""

_SECOND = 1_000_000  # microseconds


def check(key: str) -> str:
    """Return the name of a time zone that exists, or raise ValueError."""
    try:
        ZoneInfo(key)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{key[:64]!r} is no time zone: an IANA name such as 'Europe/Berlin' is expected"
        ) from error
    return key


def offset_at(key: str, utc: NDArray[np.int64]) -> NDArray[np.int64]:
    """Offsets east of UTC at instants. (n,) microseconds since 1970 UTC -> (n,) microseconds."""
    if key == "UTC" or not utc.size:
        return np.zeros(utc.shape, np.int64)
    instants, offsets = _table(key, *_years(utc))
    return offsets[np.searchsorted(instants, utc, side="right")]


def offset_of(key: str, wall: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Offsets of local times, and whether each came ONCE, TWICE or NEVER.

    (n,) microseconds of local time -> (n,) microseconds, (n,). Where a time came twice or never the
    offset is the one before the change, as with `fold=0`.
    """
    times = np.zeros(wall.shape, np.int8)
    if key == "UTC" or not wall.size:
        return np.zeros(wall.shape, np.int64), times
    instants, offsets = _table(key, *_years(wall))
    before, after = offsets[:-1], offsets[1:]
    opens, closes = instants + np.minimum(before, after), instants + np.maximum(before, after)
    change = np.searchsorted(opens, wall, side="right") - 1  # the latest one begun; -1 is none
    if not len(opens):
        return np.broadcast_to(offsets[0], wall.shape).copy(), times
    odd = (change >= 0) & (wall < closes[change])
    times[odd] = np.where(after[change[odd]] > before[change[odd]], NEVER, TWICE)
    return offsets[np.where(odd, change, change + 1)], times


def _years(clock: NDArray[np.int64]) -> tuple[int, int]:
    """First and last year of a table for these, rounded to decades so that few tables are kept."""
    first, last = (
        int(t.astype("M8[us]").astype("M8[Y]").astype(np.int64)) + 1970
        for t in (clock.min(), clock.max())
    )
    return (first - 1) // 10 * 10, (last + 1) // 10 * 10 + 9


@lru_cache(maxsize=256)
def _table(key: str, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Instants of change and the offsets between them, one more: microseconds, both int64."""
    changes = [change for year in range(first, last + 1) for change in _changes(key, year)]
    start = _offset(ZoneInfo(key), datetime(first, 1, 1))
    instants = np.array([at for at, _ in changes], np.int64) * _SECOND
    offsets = np.array([start, *(offset for _, offset in changes)], np.int64) * _SECOND
    instants.flags.writeable = offsets.flags.writeable = False
    return instants, offsets


@lru_cache(maxsize=8192)
def _changes(key: str, year: int) -> tuple[tuple[int, int], ...]:
    """(UTC second, new offset in seconds) of each change within a UTC year.

    zoneinfo does not tell its transitions, so each day is asked for its offset and the days on
    which it changes are halved down to the second.
    """
    zone = ZoneInfo(key)
    epoch = datetime(1970, 1, 1)
    day, end, one = datetime(year, 1, 1), datetime(year + 1, 1, 1), timedelta(days=1)
    offset = _offset(zone, day)
    found: list[tuple[int, int]] = []
    while day < end:
        following = _offset(zone, day + one)
        if following != offset:
            low, high = 0, 86_400
            while high - low > 1:
                middle = (low + high) // 2
                if _offset(zone, day + timedelta(seconds=middle)) == offset:
                    low = middle
                else:
                    high = middle
            found.append(((day - epoch) // timedelta(seconds=1) + high, following))
        day, offset = day + one, following
    return tuple(found)


def _offset(zone: ZoneInfo, utc: datetime) -> int:
    offset = zone.fromutc(utc.replace(tzinfo=zone)).utcoffset()
    return int((offset or timedelta()).total_seconds())
