"""Regular grids of time: which step a stamp stands on, and the stamp that a step stands for."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .aliases import MONTHS, SIZES, Alias, read_alias
from .iso import DAY

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Ordinals(NamedTuple):
    """Where stamps stand, (n,) each. Two stamps are on one grid if both are valid, their rests are
    equal and their units differ by a multiple of the step."""

    units: NDArray[np.int64]
    rest: NDArray[np.int64]
    """Microseconds into the unit."""
    valid: NDArray[np.bool_]


class Grid(Protocol):
    """The arithmetic of one frequency on clocks of (n,) int64 microseconds since 1970."""

    @property
    def step(self) -> int:
        """Units from one stamp to the next."""

    @property
    def span(self) -> int:
        """About how many microseconds a step takes."""

    @property
    def local(self) -> bool:
        """Whether the clock is the one on the wall (a day and longer) or UTC."""

    @property
    def expected(self) -> str:
        """What a valid stamp is, for people: "a Sunday"."""

    def ordinals(self, clock: NDArray[np.int64]) -> Ordinals:
        """Where stamps stand."""

    def clock(self, units: NDArray[np.int64], rest: NDArray[np.int64]) -> NDArray[np.int64]:
        """The stamps that stand there."""


class _Even(NamedTuple):
    """Units of equal length: seconds to hours, days, and weeks that fall on one weekday."""

    span: int
    local: bool
    weekday: int | None = None
    step: int = 1

    @property
    def expected(self) -> str:
        return "any time" if self.weekday is None else f"a {_WEEKDAYS[self.weekday]}"

    def ordinals(self, clock: NDArray[np.int64]) -> Ordinals:
        units, rest = np.divmod(clock, self.span)
        if self.weekday is None:
            return Ordinals(units, rest, np.ones(clock.shape, bool))
        return Ordinals(units, rest, weekdays(clock) == self.weekday)

    def clock(self, units: NDArray[np.int64], rest: NDArray[np.int64]) -> NDArray[np.int64]:
        return units * self.span + rest


class _Business(NamedTuple):
    """Mondays to Fridays, whatever the holidays."""

    step: int
    local: bool = True

    @property
    def span(self) -> int:
        return self.step * DAY * 7 // 5

    @property
    def expected(self) -> str:
        return "a day from Monday to Friday"

    def ordinals(self, clock: NDArray[np.int64]) -> Ordinals:
        week, day = np.divmod(clock // DAY + 3, 7)
        return Ordinals(week * 5 + np.minimum(day, 4), clock % DAY, day < 5)

    def clock(self, units: NDArray[np.int64], rest: NDArray[np.int64]) -> NDArray[np.int64]:
        days: NDArray[np.int64] = units // 5 * 7 + units % 5 - 3
        return days * DAY + rest


class _Months(NamedTuple):
    """The first or the last day of every month, or of one month in `cycle` (3 or 12)."""

    step: int
    last: bool
    cycle: int = 1
    anchor: int = 0
    local: bool = True

    @property
    def span(self) -> int:
        return self.step * DAY * 30

    @property
    def expected(self) -> str:
        months = [m.capitalize() for m in MONTHS[self.anchor :: self.cycle]]
        which = "a month" if self.cycle == 1 else " or ".join(months)
        return f"the {'last' if self.last else 'first'} day of {which}"

    def ordinals(self, clock: NDArray[np.int64]) -> Ordinals:
        day = clock // DAY
        month = day.astype("M8[D]").astype("M8[M]")
        units = month.astype(np.int64)
        right = (units - self.anchor) % self.cycle == 0
        return Ordinals(units, clock % DAY, (day == self._day(units)) & right)

    def clock(self, units: NDArray[np.int64], rest: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._day(units) * DAY + rest

    def _day(self, units: NDArray[np.int64]) -> NDArray[np.int64]:
        month = units.astype("M8[M]")
        if self.last:
            return (month + 1).astype("M8[D]").astype(np.int64) - 1
        return month.astype("M8[D]").astype(np.int64)


def weekdays(clock: NDArray[np.int64]) -> NDArray[np.int64]:
    """Days of the week, 0 is Monday. (n,) microseconds -> (n,)."""
    return (clock // DAY + 3) % 7  # 1970-01-01 was a Thursday


def months_of(clock: NDArray[np.int64], *, last: bool) -> Ordinals:
    """The months since 1970 of stamps, valid where they fall on the first, or the last, day."""
    return _Months(1, last).ordinals(clock)


@lru_cache(maxsize=256)
def grid(freq: str) -> Grid:
    """The grid of an alias; "1" has none. Raises ValueError for an unknown alias."""
    alias = read_alias(freq)
    count = alias.count
    if alias.unit == "1":
        raise ValueError("steps without time have no grid of stamps")
    if alias.unit == "fixed":
        return _Even(count, local=False)
    if alias.unit == "D":
        return _Even(count * DAY, local=True)
    if alias.unit == "W":
        return _Even(count * 7 * DAY, local=True, weekday=alias.anchor)
    if alias.unit == "B":
        return _Business(count)
    cycle = {"M": 1, "Q": 3, "Y": 12}[alias.unit[0]]
    return _Months(count * cycle, alias.unit[1] == "E", cycle, alias.anchor)


def default_seasons(freq: str) -> tuple[int, ...]:
    """The season lengths, in steps, that a frequency suggests, shortest first."""
    alias = read_alias(freq)
    if alias.unit == "fixed":
        for finest, seasons in _SUB_DAY_SEASONS:
            if alias.count >= finest:
                return _whole(seasons, alias.count)
        return ()
    season = {"D": 7, "B": 5, "W": 52, "M": 12, "Q": 4}.get(alias.unit[0])
    return _whole((season,), alias.count) if season else ()


_SUB_DAY_SEASONS = (
    (5 * SIZES["min"], (DAY, 7 * DAY)),
    (SIZES["min"], (SIZES["h"], DAY)),
    (SIZES["s"], (SIZES["min"], SIZES["h"])),
)


def _whole(seasons: tuple[int, ...], step: int) -> tuple[int, ...]:
    return tuple(s // step for s in seasons if s % step == 0 and s > step)


def resolve(freq: str, wall: NDArray[np.int64]) -> str:
    """The canonical alias; what a loose one leaves open ("W", "M", "yearly") is read off stamps.

    wall: (n,) microseconds of local time.
    """
    alias = read_alias(freq)
    if alias.loose and wall.size:
        alias = _anchored(alias, wall)
    return str(alias)


def _anchored(alias: Alias, wall: NDArray[np.int64]) -> Alias:
    if alias.unit == "W":
        return Alias("W", alias.count, int(weekdays(wall[:1])[0]))
    first = months_of(wall, last=False)
    start = bool(first.valid.all())
    unit = read_alias(alias.unit[0] + ("S" if start else "E")).unit
    cycle = {"M": 1, "Q": 3, "Y": 12}[unit[0]]
    return Alias(unit, alias.count, int(first.units[0]) % cycle)
