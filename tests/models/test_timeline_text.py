"""ISO 8601 as Python reads it, time zones as zoneinfo has them, calendars as people do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models import iso, zones
from models.calendar import waves
from models.timeline import CalendarFeature, Timeline

from .timelines import ZONES

_EPOCH = datetime(1970, 1, 1)
_MOMENTS = st.datetimes(datetime(1850, 1, 1), datetime(2150, 1, 1))


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


@st.composite
def _written(draw: st.DrawFn) -> str:
    moment = draw(_MOMENTS)
    length = draw(st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]))
    text = moment.isoformat(sep=draw(st.sampled_from("T ")), timespec=length)
    return text + draw(
        st.sampled_from(["", "", "Z", "+00", "-0330", "+05:45", "-23:59", "+01:02:03"])
    )


@settings(deadline=None)
@given(st.lists(_written() | st.dates().map(str), max_size=30))
def test_texts_are_read_as_python_reads_them(texts: list[str]) -> None:
    stamps = iso.read(texts)
    assert stamps.valid.all()
    for i, text in enumerate(texts):
        expected = datetime.fromisoformat(text)
        assert stamps.wall[i] == _micros(expected.replace(tzinfo=None))
        offset = expected.utcoffset()
        assert stamps.aware[i] == (offset is not None)
        assert stamps.offset[i] == (offset or timedelta()) // timedelta(microseconds=1)


@settings(deadline=None)
@given(st.lists(st.text("0123456789-:+TZ. é\x00", max_size=42), max_size=20))
@example(["2024-01-01T00:00x01:00", "2024-01-01T00:00+01:00"])
@example(["2024-01-01\n", "2024-1-1", "20240101", "2024-W01-1", "24:00", "2024-01-01T24:00"])
@example(["2024-13-01", "2024-00-01", "2024-02-00", "2023-02-29", "2024-01-01T00:60"])
@example(["2024-01-01T00:00:60", "2024-01-01T00:00+24:00", "2024-01-01T00:00:00.1234567"])
@example(["2024-01-01T00:00:00.", "2024-01-01T", "2024-01-01Z", "NaT", "now", ""])
def test_what_is_no_time_is_never_read_as_one(texts: list[str]) -> None:
    stamps = iso.read(texts)
    for text, valid in zip(texts, stamps.valid, strict=True):
        if valid:
            datetime.fromisoformat(text if len(text) > 7 else f"{text}-01")


def test_months_and_idle_nanoseconds_are_read() -> None:
    stamps = iso.read(["2024-02", "2024-02-01 00:00:00.000000000"])
    assert stamps.valid.all()
    assert stamps.wall[0] == stamps.wall[1] == _micros(datetime(2024, 2, 1))


@settings(deadline=None)
@given(st.lists(_MOMENTS, min_size=1, max_size=20), st.sampled_from(ZONES))
def test_offsets_at_instants_are_those_of_zoneinfo(moments: list[datetime], zone: str) -> None:
    utc = np.array([_micros(moment) for moment in moments])
    expected = [
        moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset() for moment in moments
    ]
    micros = [(offset or timedelta()) // timedelta(microseconds=1) for offset in expected]
    assert zones.offset_at(zone, utc).tolist() == micros


@settings(deadline=None)
@given(st.lists(_MOMENTS, min_size=1, max_size=20), st.sampled_from(ZONES))
@example(
    [datetime(2024, 10, 27, 2, 30), datetime(2024, 3, 31, 2), datetime(2024, 3, 31, 3)], ZONES[1]
)
@example([datetime(2011, 12, 30, 12), datetime(2011, 12, 31)], "Pacific/Apia")
def test_offsets_of_local_times_are_those_of_zoneinfo(moments: list[datetime], zone: str) -> None:
    offsets, times = zones.offset_of(zone, np.array([_micros(moment) for moment in moments]))
    for moment, offset, often in zip(moments, offsets, times, strict=True):
        first, second = (
            (moment.replace(tzinfo=ZoneInfo(zone), fold=fold).utcoffset() or timedelta())
            for fold in (0, 1)
        )
        assert offset == first // timedelta(microseconds=1)
        wanted = zones.ONCE if first == second else zones.TWICE if first > second else zones.NEVER
        assert often == wanted


@settings(deadline=None)
@given(st.lists(_MOMENTS, min_size=1, max_size=5))
def test_calendar_turns_once_a_period(moments: list[datetime]) -> None:
    wall = np.array([_micros(moment) for moment in moments])
    columns = waves(wall, ("hour_of_day", "day_of_week", "day_of_month", "month_of_year"))
    assert columns.dtype == np.float32
    for row, moment in zip(columns, moments, strict=True):
        following = moment.replace(day=28) + timedelta(days=4)
        days_in_month = (following - timedelta(days=following.day)).day
        midnight = datetime(moment.year, moment.month, moment.day)
        phases = [
            (moment - midnight) / timedelta(days=1),
            moment.weekday() / 7,
            (moment.day - 1) / days_in_month,
            (moment.month - 1) / 12,
        ]
        turns = 2 * np.pi * np.repeat(phases, 2)
        turns[1::2] += np.pi / 2  # a cosine is a sine a quarter ahead
        np.testing.assert_allclose(row, np.sin(turns), atol=1e-6)


@pytest.mark.parametrize(
    ("feature", "stamp", "phase"),
    [
        ("minute_of_hour", "2024-01-01T00:15", 0.25),
        ("day_of_year", "2024-12-31T12:00", 365 / 366),
        ("day_of_year", "2023-01-01", 0.0),
        ("week_of_year", "2023-01-07", 0.0),
        ("week_of_year", "2023-01-08", 7 / 365),
        ("week_of_year", "2023-12-31", 364 / 365),
    ],
)
def test_a_phase_is_the_part_of_a_period_that_has_passed(
    feature: CalendarFeature, stamp: str, phase: float
) -> None:
    timeline = Timeline(kind="time", freq="min")
    row = timeline.calendar(timeline.parse([stamp]), (feature,))[0]
    np.testing.assert_allclose(
        row, [np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)], atol=1e-6
    )


def test_calendars_follow_the_clock_on_the_wall() -> None:
    kathmandu = Timeline(kind="time", freq="15min", timezone="Asia/Kathmandu")
    midnight = kathmandu.parse(["2023-12-31T18:15:00Z"])
    np.testing.assert_allclose(kathmandu.calendar(midnight, ("hour_of_day",)), [[0, 1]], atol=1e-6)


def test_counted_steps_have_no_calendar() -> None:
    with pytest.raises(ValueError, match="counted steps have no calendar"):
        Timeline(kind="integer", freq="h").calendar(np.arange(3), ("hour_of_day",))
