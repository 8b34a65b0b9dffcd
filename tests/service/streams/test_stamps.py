"""Time stamps read the quick way are those that are read the long way."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.timeline import DsError, Timeline
from service.streams import stamps
from tests.service.registries import COUNTED, HOURLY
from tests.service.streams.versions import DAILY

BERLIN = Timeline(kind="time", freq="D", timezone="Europe/Berlin")
WEEKLY = Timeline(kind="time", freq="W-SUN")
TIMELINES = (HOURLY, DAILY, BERLIN, WEEKLY, Timeline(kind="time", freq="15min"))

instants = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59))
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
separators = st.sampled_from(["T", " "])
lengths = st.sampled_from(["auto", "minutes", "seconds", "microseconds"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Times as people write them, and some that are none."""
    at = draw(instants).replace(tzinfo=draw(zones))
    text = at.isoformat(draw(separators), draw(lengths))
    if draw(st.booleans()):
        text = text.replace("+00:00", "Z")
    if draw(st.integers(0, 9)) == 0:
        place = draw(st.integers(0, len(text) - 1))
        text = text[:place] + draw(st.text(max_size=2)) + text[place + 1 :]
    return text


def long_way(timeline: Timeline, text: str | int) -> int | str:
    try:
        return int(stamps.read(timeline, [text])[0])
    except DsError as error:
        return error.reason


def short_way(timeline: Timeline, text: str | int) -> int | str:
    try:
        return stamps.read_one(timeline, text)
    except DsError as error:
        return error.reason


@given(text=texts(), timeline=st.sampled_from(TIMELINES))
def test_both_ways_read_the_same(text: str, timeline: Timeline) -> None:
    assert short_way(timeline, text) == long_way(timeline, text)


@given(text=texts() | st.integers() | st.text(max_size=30))
def test_counted_steps_are_read_the_same_too(text: str | int) -> None:
    assert short_way(COUNTED, text) == long_way(COUNTED, text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00",  # no offset
        "2026-02-30T00:00Z",
        "2026-01-01T24:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00+24:00",
        "2026-01-01",
        "٢٠٢٦-01-01T00:00Z",
        "1677-12-31T23:00Z",
        "2262-01-01T00:00Z",
        "",
        "now",
    ],
)
def test_what_is_no_time_is_told(text: str) -> None:
    assert isinstance(short_way(HOURLY, text), str)
    assert short_way(HOURLY, text) == long_way(HOURLY, text)


@given(at=st.integers(-(10**15), 10**15), timeline=st.sampled_from(TIMELINES))
def test_what_is_written_is_read_again(at: int, timeline: Timeline) -> None:
    if stamps.has_other_names(timeline):
        at -= at % 86_400_000_000
    text = stamps.written(timeline, at)
    assert text == timeline.format(stamps.clock_of(timeline, [at]))[0]
    assert text is not None
    assert stamps.read_one(timeline, text) == at


def test_a_skipped_midnight_has_one_place_however_it_is_written() -> None:
    saturday, sunday, shown = (
        stamps.read_one(DAILY, text)
        for text in (
            "2017-10-14T00:00-03:00",
            "2017-10-15T00:00-03:00",
            "2017-10-15T01:00-02:00",
        )
    )
    assert shown != sunday
    kept, places, on_grid = stamps.placed(DAILY, [saturday] * 3, [saturday, sunday, shown])
    assert list(kept) == [saturday, sunday, sunday]
    assert places.tolist() == [0, 1, 1]
    assert on_grid.all()


def test_steps_are_counted_from_the_first_stamp_that_has_a_grid() -> None:
    monday, sunday = (
        stamps.read_one(WEEKLY, text) for text in ("2026-01-05T00:00Z", "2026-01-04T00:00Z")
    )
    assert stamps.base_of(WEEKLY, [monday, sunday, monday]) == sunday
    assert stamps.base_of(WEEKLY, [monday]) == monday
    assert stamps.base_of(HOURLY, [monday, sunday]) == monday
    assert stamps.base_of(HOURLY, []) == 0


def test_what_has_no_grid_is_on_none_and_no_fault_of_ours() -> None:
    sundays = Timeline(kind="time", freq="W-SUN", timezone="Europe/Berlin")
    monday = stamps.read_one(sundays, "2026-01-05T00:00+01:00")
    kept, _, on_grid = stamps.placed(sundays, [monday], [monday])
    assert (list(kept), on_grid.tolist()) == ([monday], [False])


def test_a_horizon_is_written_as_the_timeline_does() -> None:
    horizons = stamps.Horizons()
    start = stamps.read_one(HOURLY, "2026-03-29T00:00Z")
    for _ in range(2):
        written = orjson.loads(orjson.dumps(horizons.after(HOURLY, start, 3)))
        assert written == [f"2026-03-29T0{hour}:00:00+00:00" for hour in (1, 2, 3)]
    assert orjson.loads(orjson.dumps(horizons.after(COUNTED, 7, 2))) == [8, 9]
    other = Timeline(kind="time", freq="h", timezone="Europe/Berlin")
    assert orjson.loads(orjson.dumps(horizons.after(other, start, 1))) == [
        "2026-03-29T03:00:00+02:00"
    ]


def test_a_horizon_beyond_the_end_of_time_is_refused() -> None:
    last = stamps.read_one(HOURLY, "2261-12-31T22:00Z")
    assert np.datetime64("2261-12-31T22:00", "us").astype(np.int64) == last
    with pytest.raises(DsError):
        stamps.Horizons().after(HOURLY, last, 2)
