"""One spelling for each frequency, whatever library its name comes from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.aliases import read_alias
from models.frequency import grid, resolve
from models.timeline import Timeline, default_calendar, default_seasons

SPELLINGS = {
    "us": ["U", "1us", "microseconds"],
    "ms": ["L", "1000us", "millisecond"],
    "s": ["S", "1s", "second", "1000ms"],
    "10s": ["10S", "10 s"],
    "min": ["T", "1T", "1min", "60s", "minute", "Minutely", "1m"],
    "15min": ["15T", "15m", "900s", "15 minutes"],
    "h": ["H", "1h", "60min", "hourly", "Hour", "3600000ms"],
    "24h": ["24H", "1440min"],
    "D": ["d", "1d", "1D", "day", "DAILY"],
    "B": ["1B"],
    "W-SUN": ["W", "1w", "weekly", "week", "W-sun"],
    "2W-SAT": ["2W-SAT"],
    "MS": ["1mo", "monthly", "months"],
    "ME": ["M"],
    "QS": ["QS-JAN", "QS-OCT", "1q", "quarterly"],
    "QS-FEB": ["QS-NOV", "QS-AUG"],
    "QE": ["Q", "Q-DEC", "QE-MAR", "QE-DEC"],
    "YS": ["AS", "AS-JAN", "YS-JAN", "1y", "yearly", "annual"],
    "YE": ["A", "Y", "A-DEC", "YE-DEC"],
    "YE-FEB": ["A-FEB", "Y-FEB"],
    "1": ["1", "i", "1i", " 1 "],
}


@pytest.mark.parametrize(
    ("alias", "spelling"), [(alias, s) for alias, all_ in SPELLINGS.items() for s in [alias, *all_]]
)
def test_spellings_meet_in_one_alias(alias: str, spelling: str) -> None:
    assert Timeline(kind="integer", freq=spelling).freq == alias


_NAMES = (
    "us",
    "ms",
    "s",
    "min",
    "h",
    "D",
    "B",
    "W",
    "W-TUE",
    "MS",
    "ME",
    "QS",
    "QS-MAR",
    "QE",
    "YS",
    "YE",
    "YE-JUN",
    "M",
    "Q",
    "A",
    "T",
    "H",
    "L",
    "w",
    "mo",
    "q",
    "y",
)


@given(st.integers(1, 10_000), st.sampled_from(_NAMES))
def test_spelling_twice_is_spelling_once(count: int, name: str) -> None:
    try:
        once = str(read_alias(f"{count}{name}"))
    except ValueError:
        assert count > 90  # steps of more than a century
        return
    assert str(read_alias(once)) == once
    assert grid(once).step >= 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "-1h",
        "1.5h",
        "h-MON",
        "W-XYZ",
        "YS-MON",
        "BMS",
        "h2",
        "h\n\n2",
        "٣h",
        "9" * 99 + "h",
    ],
)
def test_what_is_no_frequency_is_refused_with_examples(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"unknown frequency .*: expected one such as '15min', 'h'"
    ):
        read_alias(text)


@pytest.mark.parametrize("text", ["0h", "101YS", "999999999999h", "2000000D"])
def test_steps_have_a_length_that_can_be(text: str) -> None:
    with pytest.raises(ValueError, match="steps by nothing, or by more than a century"):
        read_alias(text)


def test_a_lone_m_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="may be minutes or months: write 'min', 'MS' or 'ME'"):
        read_alias("m")


@pytest.mark.parametrize(
    ("freq", "stamps", "alias"),
    [
        ("W", ["2024-01-06", "2024-01-13"], "W-SAT"),
        ("W-SUN", ["2024-01-06"], "W-SUN"),
        ("2w", ["2024-01-06"], "2W-SAT"),
        ("M", ["2024-01-01", "2024-02-01"], "MS"),
        ("monthly", ["2024-01-31", "2024-02-29"], "ME"),
        ("MS", ["2024-01-31"], "MS"),
        ("Q", ["2024-03-31"], "QE"),
        ("quarterly", ["2024-02-01"], "QS-FEB"),
        ("yearly", ["2023-06-30"], "YE-JUN"),
        ("A", ["2024-01-01"], "YS"),
        ("h", ["2024-01-01"], "h"),
        ("W", [], "W-SUN"),
    ],
)
def test_what_a_name_leaves_open_is_read_off_the_stamps(
    freq: str, stamps: list[str], alias: str
) -> None:
    assert resolve(freq, np.array(stamps, "M8[us]").astype(np.int64)) == alias


@pytest.mark.parametrize(
    ("freq", "seasons"),
    [
        ("h", (24, 168)),
        ("30min", (48, 336)),
        ("15min", (96, 672)),
        ("5min", (288, 2016)),
        ("min", (60, 1440)),
        ("10s", (6, 360)),
        ("ms", ()),
        ("12h", (2, 14)),
        ("24h", (7,)),
        ("D", (7,)),
        ("2D", ()),
        ("B", (5,)),
        ("W-SUN", (52,)),
        ("2W-SAT", (26,)),
        ("MS", (12,)),
        ("2ME", (6,)),
        ("QE", (4,)),
        ("YS", ()),
        ("1", ()),
    ],
)
def test_a_frequency_suggests_its_seasons(freq: str, seasons: tuple[int, ...]) -> None:
    assert default_seasons(freq) == seasons


@pytest.mark.parametrize(
    ("kind", "freq", "features"),
    [
        ("time", "h", ("hour_of_day", "day_of_week")),
        ("time", "s", ("minute_of_hour", "hour_of_day")),
        ("time", "D", ("day_of_week", "day_of_year")),
        ("time", "W-SUN", ("week_of_year",)),
        ("time", "ME", ("month_of_year",)),
        ("time", "YS", ()),
        ("integer", "h", ()),
    ],
)
def test_a_timeline_suggests_its_calendar(kind: str, freq: str, features: tuple[str, ...]) -> None:
    timeline = Timeline.model_validate({"kind": kind, "freq": freq})
    assert default_calendar(timeline) == features
