"""The regular time axis of a forecaster: ISO 8601 or whole numbers in, steps of a grid out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from . import iso, zones
from .aliases import SIZES, read_alias
from .calendar import CalendarFeature, waves
from .frequency import Grid, Ordinals, default_seasons, grid
from .infer import infer_freq
from .iso import DAY

__all__ = [
    "CalendarFeature",
    "Clock",
    "ClockArray",
    "DsError",
    "Timeline",
    "default_calendar",
    "default_seasons",
    "infer_freq",
]

Clock = np.datetime64 | int
"""An instant of a grid: datetime64[us], or a whole number where time is only counted."""
ClockArray = NDArray[Any]
"""(n,) instants: datetime64[us], or int64 where time is only counted."""

_FIRST, _LAST = (
    int(np.datetime64(text, "us").astype(np.int64)) for text in ("1678-01-01", "2262-01-01")
)
_MOST = 2**53  # whole numbers beyond it change on their way through JSON


class DsError(ValueError):
    """A time stamp that cannot be. index: its place among those given; reason: for people."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"ds[{index}]: {reason}")
        self.index = index
        self.reason = reason


class Placed(NamedTuple):
    """Stamps put on a clock. clock: (n,) datetime64[us]; fault: (n,) index into `FAULTS`."""

    clock: NDArray[np.datetime64]
    fault: NDArray[np.int8]


FAULTS = (
    "",
    "is no ISO 8601 time",
    "lies outside the years 1678 to 2261",
    "has an offset where others have none, or none where others have one",
    "comes twice in {timezone}, where the clock was put back: write its offset from UTC",
    "never came in {timezone}, where the clock was put forward",
)
_UNREADABLE, _OUTSIDE, _MIXED, _TWICE, _NEVER = 1, 2, 3, 4, 5


class Timeline(BaseModel):
    """What a step of time is.

    kind: "time" for ISO 8601 stamps, "integer" for counted steps.
    freq: an alias as in `models.aliases`, kept in its canonical spelling; "1" is unknown, which
        only counted steps may be.
    timezone: IANA name. Stamps without offset are read in it, all are written in it, and steps of
        a day and longer follow its clock on the wall. Shorter ones are even in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["time", "integer"]
    freq: Annotated[str, Field(max_length=32)]
    timezone: Annotated[str, Field(max_length=64)] = "UTC"

    @field_validator("freq")
    @classmethod
    def _canonical(cls, freq: str) -> str:
        return str(read_alias(freq))

    @field_validator("timezone")
    @classmethod
    def _exists(cls, timezone: str) -> str:
        return zones.check(timezone)

    @model_validator(mode="after")
    def _timed(self) -> Self:
        if self.kind == "time" and self.freq == "1":
            raise ValueError("time stamps have a frequency: '1' is for counted steps")
        return self

    def parse(self, ds: Sequence[str] | Sequence[int]) -> ClockArray:
        """Read time stamps (ISO 8601) or counted steps into a clock, (n,).

        Stamps with an offset are converted, those without are read in `timezone`; one call keeps to
        one of the two. Raises DsError, naming the first that is of the wrong kind, no time, or a
        local time that never came or, for steps shorter than a day, came twice.
        """
        if self.kind == "integer":
            return _integers(ds)
        odd = next((i for i, d in enumerate(ds) if not isinstance(d, str)), None)
        if odd is not None:
            raise DsError(odd, "is no text: an ISO 8601 time is expected")
        texts = cast("Sequence[str]", ds)
        placed = self.place(iso.read(texts))
        if placed.fault.any():
            first = int(np.flatnonzero(placed.fault)[0])
            raise DsError(first, f"{texts[first][:40]!r} {self.reason(int(placed.fault[first]))}")
        return placed.clock

    def place(self, stamps: iso.Stamps) -> Placed:
        """Put stamps as they were written on the clock, and say which cannot be."""
        fault = np.where(stamps.valid, 0, _UNREADABLE).astype(np.int8)
        wall, offset = stamps.wall, stamps.offset
        outside = (wall < _FIRST) | (wall >= _LAST)
        fault[outside & stamps.valid] = _OUTSIDE
        wall = np.where(fault == 0, wall, 0)
        read = np.flatnonzero(stamps.valid)
        aware = bool(len(read)) and bool(stamps.aware[read[0]])
        fault[(stamps.aware != aware) & (fault == 0)] = _MIXED
        if aware:
            clock = self._from_utc(wall - offset)
            if self._grid.local:  # a midnight that was skipped is still its day's midnight
                before, times = zones.offset_of(self.timezone, wall)
                clock = np.where((times == zones.NEVER) & (before == offset), wall, clock)
        elif self._grid.local:
            clock = wall
        else:
            before, times = zones.offset_of(self.timezone, wall)
            clock = wall - before
            fault[(times == zones.TWICE) & (fault == 0)] = _TWICE
            fault[(times == zones.NEVER) & (fault == 0)] = _NEVER
        return Placed(clock.astype("M8[us]"), fault)

    def reason(self, fault: int) -> str:
        """What is wrong with a stamp, to follow its text."""
        return FAULTS[fault].format(timezone=self.timezone)

    def format(self, clock: ClockArray) -> list[str] | list[int]:
        """Write a clock as ISO 8601 with the offset of `timezone`, or as whole numbers."""
        if self.kind == "integer":
            return [int(step) for step in clock]
        wall, offset = self._local(_micros(clock))
        return iso.write(wall, offset)

    def positions(self, start: Clock, clock: ClockArray) -> NDArray[np.int64]:
        """Steps from start, (n,). Raises DsError for the first that is not on the grid of start,
        and for a start that the frequency does not know (a Monday of "W-SUN")."""
        if self.kind == "time":
            self._first_of(np.array([start]))
        steps, on = self.steps(np.array([start]), clock)
        if not on.all():
            index = int(np.flatnonzero(~on)[0])
            raise DsError(index, self.astray(start, clock[index]))
        return steps

    def steps(
        self, starts: ClockArray, clock: ClockArray
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Steps of each stamp from its own start, and whether it is on that start's grid.

        starts: (n,), or (1,) for all. A start that no grid of the frequency knows has none on it.
        """
        if self.kind == "integer":
            steps = np.asarray(clock, np.int64) - np.asarray(starts, np.int64)
            return steps, np.ones(len(steps), bool)
        stamps = _micros(clock)
        first, here = self._grid.ordinals(_micros(starts)), self._grid.ordinals(stamps)
        steps, astray = np.divmod(here.units - first.units, self._grid.step)
        on = here.valid & (here.rest == first.rest)
        if self._grid.local and self.timezone != "UTC" and not on.all():
            on |= self._shown(here.units, first.rest) == stamps
        return steps, on & first.valid & (astray == 0)

    def astray(self, start: Clock, stamp: Clock) -> str:
        """Why a stamp is not on the grid of start, for people."""
        text, origin = self.format(np.array([stamp, start], "M8[us]"))
        if not self._grid.ordinals(_micros(np.array([stamp]))).valid[0]:
            return f"{text} is not {self._grid.expected}, as {self.freq} steps are"
        return f"{text} is not on the grid of {self.freq} steps from {origin}"

    def at(self, start: Clock | ClockArray, positions: NDArray[np.int64]) -> ClockArray:
        """The clock at steps from start, negative ones too: (n,) -> (n,).

        start: one for all, or (n,). Raises DsError for a start that the frequency does not know (a
        Monday of "W-SUN"), and for positions that leave the years that stamps may have.
        """
        starts = np.atleast_1d(np.asarray(start))
        far = np.abs(positions.astype(np.float64))
        if self.kind == "integer":
            _refuse(far + np.abs(starts) > _MOST, positions, "lies beyond 2**53")
            return starts.astype(np.int64) + positions
        first = self._first_of(starts)
        _refuse(far * self._grid.span > _LAST - _FIRST, positions, FAULTS[_OUTSIDE])
        clock = self._grid.clock(first.units + positions * self._grid.step, first.rest)
        _refuse((clock < _FIRST) | (clock >= _LAST), positions, FAULTS[_OUTSIDE])
        return clock.astype("M8[us]")

    def calendar(
        self, clock: ClockArray, features: tuple[CalendarFeature, ...]
    ) -> NDArray[np.float32]:
        """Sine and cosine of each calendar feature of the local time: (n, 2 * len(features))."""
        if not features:
            return np.zeros((len(clock), 0), np.float32)
        if self.kind == "integer":
            raise ValueError("counted steps have no calendar")
        return waves(self._local(_micros(clock))[0], features)

    def days(self, clock: ClockArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The local days that each step touches, from the first to before the second: (n,) each.

        Counted from 1970-01-01. A step shorter than a day has the one that it begins in.
        """
        if self.kind == "integer":
            raise ValueError("counted steps have no days")
        first = self._local(_micros(clock))[0] // DAY
        try:
            following = self.at(clock, np.ones(len(clock), np.int64))
        except DsError:  # beyond the last year that there is
            return first, first + 1
        return first, np.maximum(self._local(_micros(following))[0] // DAY, first + 1)

    @property
    def _grid(self) -> Grid:
        return grid(self.freq)

    def _first_of(self, starts: ClockArray) -> Ordinals:
        ordinals = self._grid.ordinals(_micros(starts))
        if not ordinals.valid.all():
            index = int(np.flatnonzero(~ordinals.valid)[0])
            raise DsError(index, self.astray(starts[index], starts[index]))
        return ordinals

    def _from_utc(self, utc: NDArray[np.int64]) -> NDArray[np.int64]:
        return utc + zones.offset_at(self.timezone, utc) if self._grid.local else utc

    def _local(self, clock: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The time on the wall and its offset."""
        if self._grid.local:
            return clock, zones.offset_of(self.timezone, clock)[0]
        offset = zones.offset_at(self.timezone, clock)
        return clock + offset, offset

    def _shown(self, units: NDArray[np.int64], rest: NDArray[np.int64]) -> NDArray[np.int64]:
        """What the clock on the wall showed at the stamps of the grid: not themselves where it was
        put forward, so that a day which began at one in the morning is still that day."""
        wall = self._grid.clock(units, rest)
        utc = wall - zones.offset_of(self.timezone, wall)[0]
        return utc + zones.offset_at(self.timezone, utc)


def default_calendar(timeline: Timeline) -> tuple[CalendarFeature, ...]:
    """The calendar features worth having at a frequency: few, so that little data suffices."""
    if timeline.kind == "integer":
        return ()
    alias = read_alias(timeline.freq)
    if alias.unit == "fixed":
        seconds = alias.count < SIZES["min"]
        return ("minute_of_hour", "hour_of_day") if seconds else ("hour_of_day", "day_of_week")
    by_unit: dict[str, tuple[CalendarFeature, ...]] = {
        "D": ("day_of_week", "day_of_year"),
        "B": ("day_of_week", "day_of_year"),
        "W": ("week_of_year",),
        "M": ("month_of_year",),
        "Q": ("month_of_year",),
    }
    return by_unit.get(alias.unit[0], ())


def _integers(ds: Sequence[str] | Sequence[int]) -> NDArray[np.int64]:
    for index, step in enumerate(ds):
        if not isinstance(step, (int, np.integer)) or isinstance(step, bool):
            raise DsError(index, "is no whole number: steps are counted here")
        if abs(int(step)) > _MOST:
            raise DsError(index, "lies beyond 2**53")
    return np.array(ds, np.int64)


def _micros(clock: ClockArray) -> NDArray[np.int64]:
    return np.asarray(clock).astype("M8[us]").astype(np.int64)


def _refuse(wrong: NDArray[np.bool_], positions: NDArray[np.int64], reason: str) -> None:
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise DsError(index, f"step {positions[index]} {reason}")
