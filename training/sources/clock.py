"""The timeline of a source: its frequency read or checked, and every row on its step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models import iso, zones
from models.aliases import read_alias
from models.frequency import grid, resolve
from models.infer import duration
from models.timeline import ClockArray, Timeline, infer_freq

from .cells import text
from .faults import Faults, Origin, SourceError

_TELLING = 10
"""Steps from row to row, of all series, that are enough to tell a coarse frequency from gaps."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows in order of series, their time stamps as the source has them, and what is wrong."""

    origin: Origin
    ds: pl.Series
    faults: Faults

    @property
    def follows(self) -> NDArray[np.bool_]:
        """(n - 1,) whether a row, the first left out, has the row before it in its series."""
        series = self.origin.series
        follows: NDArray[np.bool_] = series[1:] == series[:-1]
        return follows

    @property
    def starts(self) -> NDArray[np.int64]:
        """(len(ids),) the first row of each series."""
        return np.flatnonzero(np.r_[True, ~self.follows])


@dataclass(frozen=True, slots=True)
class Settled:
    """Rows on a timeline. start: (len(ids),) an instant of each series' grid, the first row's as a
    rule; steps: (n,) int64 from it."""

    timeline: Timeline
    start: ClockArray
    steps: NDArray[np.int64]


def settle(
    rows: Rows, ds: iso.Stamps | NDArray[np.int64], *, freq: str | None, timezone: str | None
) -> Settled:
    """Put stamps as they were written, or counted steps, on a timeline.

    Raises DataError for stamps that cannot be, duplicates, disorder, mixed frequencies, and a
    frequency that is not the stamps'.
    """
    if isinstance(ds, iso.Stamps):
        return _timed(rows, ds, freq, timezone or _zone(rows.ds))
    rows.faults.check()
    _check_order(rows, ds, np.zeros(len(ds), bool))
    timeline = Timeline(kind="integer", freq=resolve(freq or "1", ds[:0]))
    start = ds[rows.starts]
    steps, _ = timeline.steps(start[rows.origin.series], ds)
    _check_step(rows, steps, "are {} apart throughout: count them one by one")
    return Settled(timeline, start, steps)


def _timed(rows: Rows, stamps: iso.Stamps, freq: str | None, zone: str) -> Settled:
    # Steps of a day keep local time, in which every stamp that can be read has a place.
    wall = _place(rows, Timeline(kind="time", freq="D", timezone=zone), stamps)
    twice = ~stamps.aware & (zones.offset_of(zone, stamps.wall)[1] == zones.TWICE)
    _check_order(rows, stamps.wall - stamps.offset, twice)
    if freq is None:
        freq = _infer(rows, stamps, wall, zone)
    elif read_alias(freq).unit == "1":
        raise SourceError("freq '1' is for counted steps, and these are time stamps")
    timeline = Timeline(kind="time", freq=resolve(freq, wall.astype(np.int64)), timezone=zone)
    clock = _place(rows, timeline, stamps)
    series = rows.origin.series
    start = clock[rows.starts]
    steps, on = timeline.steps(start[series], clock)
    if not on.all():
        start = _likelier(rows, clock, on)
        steps, on = timeline.steps(start[series], clock)
        rows.faults.rows(~on, rows.ds.name, lambda i: timeline.astray(start[series[i]], clock[i]))
        rows.faults.check()
    said = f"are {{}} times {timeline.freq} apart throughout: give a longer freq, or none"
    _check_step(rows, steps, said)
    return Settled(timeline, start, steps)


def _zone(ds: pl.Series) -> str:
    """The time zone of a typed column, UTC where it has none."""
    zone = (isinstance(ds.dtype, pl.Datetime) and ds.dtype.time_zone) or "UTC"
    try:
        return zones.check(zone)
    except ValueError as error:
        raise SourceError(f"column {ds.name!r}: {error}") from None


def _place(rows: Rows, timeline: Timeline, stamps: iso.Stamps) -> NDArray[np.datetime64]:
    placed = timeline.place(stamps)
    rows.faults.rows(
        placed.fault != 0,
        rows.ds.name,
        lambda i: f"{text(rows.ds, i)} {timeline.reason(int(placed.fault[i]))}",
    )
    rows.faults.check()
    return placed.clock


def _check_order(rows: Rows, instants: NDArray[np.int64], twice: NDArray[np.bool_]) -> None:
    """Within a series instants ascend. twice: (n,) local times that the clock showed twice."""
    back = np.r_[False, rows.follows & (np.diff(instants) <= 0)]
    if not back.any():
        return
    starts = rows.starts

    def reason(i: int) -> str:
        this = text(rows.ds, i)
        if twice[i]:
            return f"{this} comes twice where the clock was put back: write its offset from UTC"
        first = int(starts[starts <= i][-1])
        same = np.flatnonzero(instants[first:i] == instants[i])
        if len(same):
            return f"{this} is there already, in row {rows.origin.number[first + same[0]]}"
        return f"{this} comes after {text(rows.ds, i - 1)}: sort the rows of a series by time"

    rows.faults.rows(back, rows.ds.name, reason)
    rows.faults.check()


def _infer(rows: Rows, stamps: iso.Stamps, wall: NDArray[np.datetime64], zone: str) -> str:
    """The frequency in local time if that is a day or longer, in UTC otherwise."""
    series = rows.origin.series
    try:
        freq = infer_freq(wall, series)
    except ValueError:
        freq = None
    if freq is not None and grid(freq).local:
        return freq
    clock = _place(rows, Timeline(kind="time", freq="h", timezone=zone), stamps)
    try:
        return infer_freq(clock, series, local=zone == "UTC")
    except ValueError as error:
        _uneven(rows, clock.astype(np.int64))
        raise SourceError(str(error)) from None


def _uneven(rows: Rows, clock: NDArray[np.int64]) -> None:
    """Name the rows that break the step that most rows keep."""
    apart = np.diff(clock)
    if not rows.follows.any():
        raise SourceError("no series has two rows to read the frequency off: give freq")
    sizes, counts = np.unique(apart[rows.follows], return_counts=True)
    usual = int(sizes[counts.argmax()])
    odd = np.r_[False, rows.follows & (apart % usual != 0)]
    rows.faults.rows(
        odd,
        rows.ds.name,
        lambda i: (
            f"{text(rows.ds, i)} comes {duration(int(apart[i - 1]))} after the row before it, "
            f"where most come {duration(usual)}: {_advice(int(apart[i - 1]), usual)}"
        ),
    )
    rows.faults.check()


def _advice(step: int, usual: int) -> str:
    """What to do about a step, in microseconds, that is not the usual one."""
    day, hour = 86_400_000_000, 3_600_000_000
    if usual % day == 0 and step % day in (hour, day - hour):
        return "where clocks are changed, name the time zone"
    return "one source has one frequency"


def _likelier(
    rows: Rows, clock: NDArray[np.datetime64], on: NDArray[np.bool_]
) -> NDArray[np.datetime64]:
    """(len(ids),) starts: where most of a series is off its first row's grid, its middle row."""
    number = np.bincount(rows.origin.series)
    off = np.bincount(rows.origin.series, weights=~on)
    return clock[rows.starts + np.where(2 * off > number, number // 2, 0)]


def _check_step(rows: Rows, steps: NDArray[np.int64], reason: str) -> None:
    """Steps that share a divisor are those of a coarser frequency, unless too few to tell."""
    apart = np.diff(steps)[rows.follows]
    common = int(np.gcd.reduce(apart)) if len(apart) >= _TELLING else 1
    if common > 1:
        rows.faults.column(rows.ds.name, f"steps {reason.format(common)}")
        rows.faults.check()
