"""What the tests of timelines draw from: frequencies, time zones, and grids of them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from models.frequency import grid
from models.iso import DAY
from models.timeline import Timeline

FREQUENCIES = (
    *("us", "250ms", "s", "10s", "min", "15min", "30min", "h", "2h", "6h", "24h"),
    *("D", "2D", "10D", "B", "3B", "W-MON", "W-WED", "W-SAT", "W-SUN", "2W-FRI"),
    *("MS", "ME", "2MS", "5ME", "QS", "QS-FEB", "QS-MAR", "QE", "QE-JAN", "2QE", "QE-FEB"),
    *("YS", "YS-APR", "YE", "YE-FEB", "4YE-FEB", "2YS"),
)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # daylight saving began at midnight
    "Australia/Lord_Howe",  # … by half an hour
    "Asia/Kathmandu",  # 5:45 from UTC
    "Africa/Casablanca",  # put back for Ramadan
    "Pacific/Apia",  # left out a day
)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    return Timeline(
        kind="time",
        freq=draw(st.sampled_from(FREQUENCIES)),
        timezone=draw(st.sampled_from(ZONES)),
    )


@st.composite
def starts(draw: st.DrawFn, timeline: Timeline) -> np.datetime64:
    """The first stamp that the frequency knows, at or after any between 1850 and 2100."""
    second = draw(st.integers(-3_786_912_000, 4_102_444_800))
    rest = draw(st.sampled_from([0, 0, 5 * 3_600_000_000 + 7]))
    days = np.arange(10 * 366) * DAY + second // 86_400 * DAY + rest
    valid = grid(timeline.freq).ordinals(days).valid
    return np.datetime64(int(days[int(valid.argmax())]), "us")


@st.composite
def positions(draw: st.DrawFn, timeline: Timeline) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Steps that do not leave the years that stamps may have."""
    most = min(200, 150 * 366 * DAY // grid(timeline.freq).span)
    return np.array(draw(st.lists(st.integers(-most, most), min_size=1, max_size=20)))
