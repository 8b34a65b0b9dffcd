"""Time stamps of streams: read one by one, written a horizon at a time, each horizon once."""

from __future__ import annotations

import contextlib
import re
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
from numpy.typing import NDArray

from models import iso
from models.frequency import grid
from models.timeline import ClockArray, DsError, Timeline

_USUAL = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{6})?)?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_KEPT = 4096


def clock_of(timeline: Timeline, ds: Sequence[int] | NDArray[np.int64]) -> ClockArray:
    """Whole numbers as instants of a timeline's clock, (n,)."""
    numbers = np.asarray(ds, np.int64)
    return numbers.astype("M8[us]") if timeline.kind == "time" else numbers


def numbers_of(clock: ClockArray) -> NDArray[np.int64]:
    """The inverse of `clock_of`, (n,)."""
    return clock.astype("M8[us]").astype(np.int64) if clock.dtype.kind == "M" else clock


def placed(
    timeline: Timeline, bases: Sequence[int], ds: Sequence[int]
) -> tuple[Sequence[int], NDArray[np.int64], NDArray[np.bool_]]:
    """Each ds as its grid has it, steps from its base, and whether it is on the base's grid.

    A midnight that the clock skipped may come as what the clock showed instead.
    """
    starts = clock_of(timeline, bases)
    positions, on_grid = timeline.steps(starts, clock_of(timeline, ds))
    if has_other_names(timeline):
        as_kept = np.array(ds, np.int64)
        as_kept[on_grid] = numbers_of(timeline.at(starts[on_grid], positions[on_grid]))
        ds = as_kept.tolist()
    return ds, positions, on_grid


def has_other_names(timeline: Timeline) -> bool:
    """Whether there are midnights that the clock skips, which may be written in two ways."""
    return timeline.kind == "time" and timeline.timezone != "UTC" and grid(timeline.freq).local


def base_of(timeline: Timeline, ds: Sequence[int]) -> int:
    """The first of `ds` that steps may be counted from, or the first; 0 where there is none."""
    if not ds:
        return 0
    if timeline.kind == "integer" or not grid(timeline.freq).local:
        return ds[0]
    clock = clock_of(timeline, ds)
    _, valid = timeline.steps(clock, clock)
    return ds[int(valid.argmax())]


def read(timeline: Timeline, stamps: Sequence[str | int]) -> NDArray[np.int64]:
    """Time stamps as whole numbers of a timeline's clock, (n,): ISO 8601 with an offset, or counted
    steps. Raises DsError, naming the first that is neither."""
    if timeline.kind == "integer":
        return timeline.parse([_whole(stamp, i) for i, stamp in enumerate(stamps)])
    texts = [_text(stamp, i) for i, stamp in enumerate(stamps)]
    read = iso.read(texts)
    if (naive := read.valid & ~read.aware).any():
        raise DsError(int(naive.argmax()), "has no offset from UTC: write one")
    placed = timeline.place(read)
    if placed.fault.any():
        first = int(np.flatnonzero(placed.fault)[0])
        raise DsError(first, timeline.reason(int(placed.fault[first])))  # the text is not repeated
    return numbers_of(placed.clock)


def read_one(timeline: Timeline, stamp: str | int) -> int:
    """One time stamp. Raises DsError.

    What most people write is read in a microsecond, which numpy takes a hundred for.
    """
    if type(stamp) is str and _is_usual(timeline, stamp):
        with contextlib.suppress(ValueError):
            at = datetime.fromisoformat(stamp)
            if 1678 < at.year < 2261:
                return (at - _EPOCH) // _MICROSECOND
    return int(read(timeline, [stamp])[0])


def written(timeline: Timeline, ds: int | None) -> str | int | None:
    """An instant as it is written, None for None."""
    if ds is not None and timeline.kind == "time" and timeline.timezone == "UTC":
        return (_EPOCH + ds * _MICROSECOND).isoformat()  # as `format` has it, without numpy
    return None if ds is None else timeline.format(clock_of(timeline, [ds]))[0]


class Horizons:
    """The times that forecasts are for, as JSON: streams that keep pace share them."""

    def __init__(self) -> None:
        self._written: OrderedDict[tuple[str, int, int], bytes] = OrderedDict()

    def after(self, timeline: Timeline, ds: int, h: int) -> orjson.Fragment:
        """A JSON array of the h steps after an instant. Raises DsError where time ends before."""
        key = timeline.freq + timeline.timezone, ds, h
        text = self._written.get(key)
        if text is None:
            clock = timeline.at(clock_of(timeline, [ds]), np.arange(1, h + 1))
            text = self._written[key] = orjson.dumps(timeline.format(clock))
            if len(self._written) > _KEPT:
                self._written.popitem(last=False)
        return orjson.Fragment(text)


def _is_usual(timeline: Timeline, stamp: str) -> bool:
    if timeline.kind != "time" or _USUAL.fullmatch(stamp) is None:
        return False
    return timeline.timezone == "UTC" or not grid(timeline.freq).local


def _whole(stamp: str | int, index: int) -> int:
    if type(stamp) is not int:
        raise DsError(index, "must be a whole number, as the model's are")
    return stamp


def _text(stamp: str | int, index: int) -> str:
    if type(stamp) is not str:
        raise DsError(index, "must be an ISO 8601 time, as the model's are")
    return stamp
