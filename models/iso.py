"""ISO 8601 text read a column at a time: numpy over the characters, layout by layout."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY = 86_400_000_000  # microseconds

_LONGEST = 40  # characters; no layout below is longer
_LAYOUT = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)"
    r"(?:-(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
    r"(?P<zone>Z|(?P<sign>[+-])(?P<zone_hour>\d\d)"
    r"(?::?(?P<zone_minute>\d\d)(?::(?P<zone_second>\d\d))?)?)?)?)?",
    re.ASCII,
)
_ZERO, _NINE, _PLUS, _MINUS = b"09+-"


@dataclass(frozen=True, slots=True)
class Stamps:
    """Time stamps as they were written, before any time zone is consulted. All arrays are (n,).

    wall: int64 microseconds since 1970-01-01T00:00 of the date and time as written.
    offset: int64 microseconds east of UTC, 0 where none was written; aware: whether one was.
    valid: False where the text is no time, or names a day or an hour that does not exist.
    """

    wall: NDArray[np.int64]
    offset: NDArray[np.int64]
    aware: NDArray[np.bool_]
    valid: NDArray[np.bool_]


def read(texts: Sequence[str]) -> Stamps:
    """Read ISO 8601 texts: `2024-03`, `2024-03-31`, `2024-03-31T12:00[:00[.000000]][Z|+01:00]`.

    A space may stand for the T. Never raises: what is no time is marked so in `valid`.
    """
    n = len(texts)
    stamps = Stamps(
        np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, bool), np.zeros(n, bool)
    )
    lengths = np.fromiter(map(len, texts), np.int64, n)
    for length in np.unique(lengths[lengths <= _LONGEST]):
        index = np.flatnonzero(lengths == length)
        chosen = texts if len(index) == n else [texts[i] for i in index.tolist()]
        characters = "".join(chosen).encode("ascii", errors="replace")
        _read_rows(np.frombuffer(characters, np.uint8).reshape(len(index), length), index, stamps)
    return stamps


def _read_rows(rows: NDArray[np.uint8], index: NDArray[np.int64], stamps: Stamps) -> None:
    """Read texts of one length. Each turn of the loop takes all of the first one's layout."""
    shapes = np.where((rows >= _ZERO) & (rows <= _NINE), np.uint8(_ZERO), rows)
    while len(rows):
        layout = _LAYOUT.fullmatch(_text(rows[0]))
        if layout is None:  # text in no layout: sift it out here, or each would cost a turn
            known = np.array([_LAYOUT.fullmatch(_text(row)) is not None for row in rows])
            rows, shapes, index = rows[known], shapes[known], index[known]
            continue
        same = shapes == shapes[0]
        if layout["sign"]:
            at = layout.start("sign")  # a plus and a minus are one layout
            same[:, at] = (shapes[:, at] == _PLUS) | (shapes[:, at] == _MINUS)
        alike = same.all(axis=1)
        _read_layout(rows[alike], layout, index[alike], stamps)
        rows, shapes, index = rows[~alike], shapes[~alike], index[~alike]


def _text(row: NDArray[np.uint8]) -> str:
    return row.tobytes().decode("ascii")


def _read_layout(
    rows: NDArray[np.uint8], layout: re.Match[str], index: NDArray[np.int64], stamps: Stamps
) -> None:
    def number(name: str, absent: int = 0) -> NDArray[np.int64]:
        first, last = layout.span(name)
        value = np.full(len(rows), absent if first < 0 else 0, np.int64)
        for column in range(first, last):
            value = value * 10 + (rows[:, column] - _ZERO)
        return value

    month = number("month")
    day = number("day", absent=1)
    first_of_month = ((number("year") - 1970) * 12 + month - 1).astype("M8[M]")
    date = first_of_month.astype("M8[D]").astype(np.int64)
    days = (first_of_month + 1).astype("M8[D]").astype(np.int64) - date
    hour, minute, second = number("hour"), number("minute"), number("second")
    digits = layout.end("fraction") - layout.start("fraction")
    fraction = number("fraction") * 10 ** (9 - digits)  # nanoseconds
    zone_hour, zone_minute, zone_second = (
        number("zone_hour"),
        number("zone_minute"),
        number("zone_second"),
    )
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (day <= days)
    valid &= (hour < 24) & (minute < 60) & (second < 60) & (fraction % 1000 == 0)
    valid &= (zone_hour < 24) & (zone_minute < 60) & (zone_second < 60)

    seconds = (hour * 60 + minute) * 60 + second
    stamps.wall[index] = (date + day - 1) * DAY + seconds * 1_000_000 + fraction // 1000
    east = ((zone_hour * 60 + zone_minute) * 60 + zone_second) * 1_000_000
    if layout["sign"]:
        east = np.where(rows[:, layout.start("sign")] == _MINUS, -east, east)
    stamps.offset[index] = east
    stamps.aware[index] = layout["zone"] is not None
    stamps.valid[index] = valid


def write(wall: NDArray[np.int64], offset: NDArray[np.int64]) -> list[str]:
    """Write microseconds of local time with their offsets: `2024-03-31T00:00:00+01:00`.

    A fraction of a second is written, six digits, for all stamps where any has one.
    """
    whole = not (wall % 1_000_000).any()
    times = np.datetime_as_string(wall.astype("M8[us]"), unit="s" if whole else "us").tolist()
    east, inverse = np.unique(offset, return_inverse=True)
    zones = [_offset_text(int(o)) for o in east]
    return [time + zones[i] for time, i in zip(times, inverse.tolist(), strict=True)]


def _offset_text(offset: int) -> str:
    minutes, second = divmod(abs(offset) // 1_000_000, 60)
    hour, minute = divmod(minutes, 60)
    seconds = f":{second:02d}" if second else ""  # local mean times, before standard time
    return f"{'-' if offset < 0 else '+'}{hour:02d}:{minute:02d}{seconds}"
