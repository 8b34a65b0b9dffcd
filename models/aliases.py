"""Names of frequencies: pandas' aliases old and new, Polars' and plain words, to one spelling."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

Unit = Literal["fixed", "D", "B", "W", "MS", "ME", "QS", "QE", "YS", "YE", "1"]

WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
SIZES = {"h": 3_600_000_000, "min": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
"""Microseconds of the units below a day, largest first."""

_FIXED = {
    "h": "h H hour hours hourly",
    "min": "min T m minute minutes minutely",
    "s": "s S sec second seconds secondly",
    "ms": "ms L millisecond milliseconds",
    "us": "us U microsecond microseconds",
}
_EXACT: dict[Unit, str] = {
    "D": "D d day days daily",
    "B": "B",
    "MS": "MS",
    "ME": "ME",
    "QS": "QS",
    "QE": "QE",
    "YS": "YS AS",
    "YE": "YE",
}
# What these mean depends on whom one asks: the stamps decide between start and end, and which
# weekday or month. Without stamps: as old pandas had it, or Polars, whose periods have a start.
_LOOSE: dict[Unit, str] = {
    "W": "W w week weeks weekly",
    "MS": "mo month months monthly",
    "ME": "M",
    "QS": "q quarter quarters quarterly",
    "QE": "Q",
    "YS": "y year years yearly annual annually",
    "YE": "A Y",
}
_SUB_DAY = {name: SIZES[unit] for unit, names in _FIXED.items() for name in names.split()}
_EXACT_UNITS = {name: unit for unit, names in _EXACT.items() for name in names.split()}
_LOOSE_UNITS = {name: unit for unit, names in _LOOSE.items() for name in names.split()}

_ALIAS = re.compile(
    r"(?P<count>[0-9]{0,12}) ?(?P<name>[A-Za-z]{1,16})(?:-(?P<anchor>[A-Za-z]{3}))?"
)
_LONGEST = 100 * 366 * 24 * SIZES["h"]


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias taken apart. count: units a step (microseconds for "fixed").

    anchor: weekday (0 is Monday) of a week, or the month (0 is January) that a year starts or ends
    with, within a cycle of three months for quarters; 0 otherwise.
    loose: whether start or end, weekday or month, were left to the reader.
    """

    unit: Unit
    count: int
    anchor: int = 0
    loose: bool = False

    def __str__(self) -> str:
        return _spell(self)


def read_alias(text: str) -> Alias:
    """Take an alias apart: "15min", "H", "1h", "W-SAT", "QS-OCT", "1mo", "monthly", "1" …

    Raises ValueError, with an example, for what is no frequency.
    """
    stripped = text.strip()
    if stripped in {"1", "i", "1i"}:
        return Alias("1", 1)
    match = _ALIAS.fullmatch(stripped)
    if match is None:
        raise ValueError(_unknown(text))
    name, anchor = match["name"], (match["anchor"] or "").upper()
    if name == "m" and not match["count"]:
        raise ValueError("frequency 'm' may be minutes or months: write 'min', 'MS' or 'ME'")
    count = int(match["count"] or 1)
    word = name.lower() if len(name) > 3 or name == "MIN" else name  # words in any case
    if word in _SUB_DAY:
        alias = Alias("fixed", count * _SUB_DAY[word])
    elif word in _EXACT_UNITS:
        alias = Alias(_EXACT_UNITS[word], count)
    elif word in _LOOSE_UNITS:
        alias = Alias(_LOOSE_UNITS[word], count, loose=not anchor)
    else:
        raise ValueError(_unknown(text))
    return _checked(replace(alias, anchor=_anchor(alias.unit, anchor, text)), text)


def _checked(alias: Alias, text: str) -> Alias:
    days = {"D": 1, "B": 1, "W": 7, "M": 31, "Q": 92, "Y": 366}
    size = 1 if alias.unit == "fixed" else days[alias.unit[0]] * 24 * SIZES["h"]
    if not 0 < alias.count * size <= _LONGEST:
        raise ValueError(f"frequency {text[:32]!r} steps by nothing, or by more than a century")
    return alias


def _anchor(unit: Unit, anchor: str, text: str) -> int:
    names: tuple[str, ...] = WEEKDAYS if unit == "W" else MONTHS
    if unit == "W":
        default = "SUN"
    elif unit[0] in "QY":
        default = "DEC" if unit.endswith("E") else "JAN"
    elif anchor:
        raise ValueError(_unknown(text))
    else:
        return 0
    if (anchor or default) not in names:
        raise ValueError(_unknown(text))
    index = names.index(anchor or default)
    return index % 3 if unit[0] == "Q" else index


def _spell(alias: Alias) -> str:
    if alias.unit == "1":
        return "1"
    if alias.unit == "fixed":
        name, size = next((n, s) for n, s in SIZES.items() if alias.count % s == 0)
        count = alias.count // size
    else:
        name, count = alias.unit + _suffix(alias.unit, alias.anchor), alias.count
    return name if count == 1 else f"{count}{name}"


def _suffix(unit: Unit, anchor: int) -> str:
    if unit == "W":
        return f"-{WEEKDAYS[anchor]}"
    if unit[0] not in "QY":
        return ""
    default = _anchor(unit, "", "")
    return "" if anchor == default else f"-{MONTHS[anchor]}"


def _unknown(text: str) -> str:
    return (
        f"unknown frequency {text[:32]!r}: expected one such as '15min', 'h', 'D', 'B', 'W-SUN', "
        "'MS', 'ME', 'QS', 'YE', or '1' for steps without time"
    )
