"""Stamps to steps and back: the promises every other part leans on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.timeline import DsError, Timeline, default_calendar

from .timelines import FREQUENCIES, ZONES, positions, starts, timelines


@settings(deadline=None)
@given(st.data(), timelines())
def test_positions_undo_at(data: st.DataObject, timeline: Timeline) -> None:
    start, wanted = data.draw(starts(timeline)), data.draw(positions(timeline))
    clock = timeline.at(start, wanted)
    np.testing.assert_array_equal(timeline.positions(start, clock), wanted)


@settings(deadline=None)
@given(st.data(), timelines())
def test_parse_undoes_format(data: st.DataObject, timeline: Timeline) -> None:
    clock = timeline.at(data.draw(starts(timeline)), data.draw(positions(timeline)))
    texts = timeline.format(clock)
    parsed = timeline.parse(texts)
    np.testing.assert_array_equal(parsed, clock)
    assert timeline.format(parsed) == texts


@settings(deadline=None)
@given(st.data(), timelines())
def test_a_later_step_is_a_later_time(data: st.DataObject, timeline: Timeline) -> None:
    clock = timeline.at(data.draw(starts(timeline)), np.unique(data.draw(positions(timeline))))
    assert (np.diff(clock).astype(np.int64) > 0).all()


@pytest.mark.parametrize("freq", FREQUENCIES)
def test_steps_are_those_of_pandas(freq: str) -> None:
    expected = pd.date_range("2019-12-25", periods=60, freq=freq).to_numpy().astype("M8[us]")
    timeline = Timeline(kind="time", freq=freq)
    np.testing.assert_array_equal(timeline.at(expected[0], np.arange(60)), expected)


@settings(deadline=None)
@given(st.integers(-(2**40), 2**40), st.lists(st.integers(-(2**40), 2**40)))
def test_counted_steps_stay_numbers(start: int, wanted: list[int]) -> None:
    timeline = Timeline(kind="integer", freq="1")
    clock = timeline.at(start, np.array(wanted, np.int64))
    assert timeline.positions(start, clock).tolist() == wanted
    assert timeline.parse(timeline.format(clock)).tolist() == clock.tolist()


def test_hours_are_even_in_utc_when_the_clock_is_put_forward() -> None:
    berlin = Timeline(kind="time", freq="h", timezone="Europe/Berlin")
    start = berlin.parse(["2024-03-31T00:00:00+01:00"])[0]
    assert berlin.format(berlin.at(start, np.arange(4))) == [
        "2024-03-31T00:00:00+01:00",
        "2024-03-31T01:00:00+01:00",
        "2024-03-31T03:00:00+02:00",
        "2024-03-31T04:00:00+02:00",
    ]


def test_days_keep_to_the_clock_on_the_wall() -> None:
    berlin = Timeline(kind="time", freq="D", timezone="Europe/Berlin")
    start = berlin.parse(["2024-03-30T23:00:00Z"])[0]
    assert berlin.format(berlin.at(start, np.arange(2))) == [
        "2024-03-31T00:00:00+01:00",
        "2024-04-01T00:00:00+02:00",
    ]


@pytest.mark.parametrize("stamp", ["2018-11-04", "2018-11-04T01:00:00-02:00", "2018-11-04T03:00Z"])
def test_a_day_that_began_at_one_is_still_that_day(stamp: str) -> None:
    sao_paulo = Timeline(kind="time", freq="D", timezone="America/Sao_Paulo")
    start = np.datetime64("2018-11-01", "us")
    assert sao_paulo.positions(start, sao_paulo.parse([stamp])).tolist() == [3]


@pytest.mark.parametrize(
    ("freq", "zone", "ds", "index", "reason"),
    [
        ("h", "UTC", ["2024-01-01", "soon"], 1, "'soon' is no ISO 8601 time"),
        ("h", "UTC", ["2024-02-30"], 0, "'2024-02-30' is no ISO 8601 time"),
        ("h", "UTC", ["x" * 99], 0, f"'{'x' * 40}' is no ISO 8601 time"),
        ("h", "UTC", ["1677-12-31"], 0, "'1677-12-31' lies outside the years 1678 to 2261"),
        ("h", "UTC", [7], 0, "is no text: an ISO 8601 time is expected"),
        (
            "h",
            "UTC",
            ["2024-01-01T00:00Z", "2024-01-01T01:00"],
            1,
            "'2024-01-01T01:00' has an offset where others have none, "
            "or none where others have one",
        ),
        (
            "h",
            "Europe/Berlin",
            ["2024-10-27 01:00", "2024-10-27 02:00"],
            1,
            "'2024-10-27 02:00' comes twice in Europe/Berlin, where the clock was put back: "
            "write its offset from UTC",
        ),
        (
            "h",
            "Europe/Berlin",
            ["2024-03-31 02:30"],
            0,
            "'2024-03-31 02:30' never came in Europe/Berlin, where the clock was put forward",
        ),
    ],
)
def test_a_stamp_that_cannot_be_is_named(
    freq: str, zone: str, ds: list[str], index: int, reason: str
) -> None:
    timeline = Timeline(kind="time", freq=freq, timezone=zone)
    with pytest.raises(DsError) as raised:
        timeline.parse(ds)
    assert (raised.value.index, raised.value.reason) == (index, reason)
    assert str(raised.value) == f"ds[{index}]: {reason}"


@pytest.mark.parametrize("ds", [["1"], [True], [1.0], [1, None]])
def test_counted_steps_are_whole_numbers(ds: list[int]) -> None:
    with pytest.raises(DsError, match="is no whole number: steps are counted here"):
        Timeline(kind="integer", freq="h").parse(ds)


def test_counted_steps_survive_json() -> None:
    with pytest.raises(DsError, match=r"ds\[1\]: lies beyond 2\*\*53"):
        Timeline(kind="integer", freq="h").parse([0, 2**53 + 1])


@pytest.mark.parametrize(
    ("freq", "start", "stamp", "reason"),
    [
        (
            "h",
            "2024-01-01",
            "2024-01-01T00:30",
            "2024-01-01T00:30:00+00:00 is not on the grid of h steps "
            "from 2024-01-01T00:00:00+00:00",
        ),
        (
            "W-SUN",
            "2024-01-07",
            "2024-01-08",
            "2024-01-08T00:00:00+00:00 is not a Sunday, as W-SUN steps are",
        ),
        (
            "B",
            "2024-01-05",
            "2024-01-06",
            "2024-01-06T00:00:00+00:00 is not a day from Monday to Friday, as B steps are",
        ),
        (
            "ME",
            "2024-01-31",
            "2024-02-28",
            "2024-02-28T00:00:00+00:00 is not the last day of a month, as ME steps are",
        ),
        (
            "QS",
            "2024-01-01",
            "2024-02-01",
            "2024-02-01T00:00:00+00:00 is not the first day of Jan or Apr or Jul or Oct, "
            "as QS steps are",
        ),
        (
            "2D",
            "2024-01-01",
            "2024-01-02",
            "2024-01-02T00:00:00+00:00 is not on the grid of 2D steps "
            "from 2024-01-01T00:00:00+00:00",
        ),
    ],
)
def test_a_stamp_off_the_grid_is_named(freq: str, start: str, stamp: str, reason: str) -> None:
    timeline = Timeline(kind="time", freq=freq)
    with pytest.raises(DsError) as raised:
        timeline.positions(np.datetime64(start), timeline.parse([start, stamp]))
    assert (raised.value.index, raised.value.reason) == (1, reason)


def test_a_start_that_the_frequency_does_not_know_is_refused() -> None:
    timeline = Timeline(kind="time", freq="W-SUN")
    monday = np.datetime64("2024-01-08")
    reason = "2024-01-08T00:00:00.* is not a Sunday"
    with pytest.raises(DsError, match=reason):
        timeline.at(monday, np.arange(3))
    with pytest.raises(DsError, match=reason):
        timeline.positions(monday, np.array(["2024-01-14"], "M8[us]"))


@pytest.mark.parametrize("freq", ["us", "h", "D", "B", "W-MON", "MS", "YS"])
@pytest.mark.parametrize("position", [2**62, -(2**62), 10**16])
def test_no_position_leaves_the_years_that_stamps_may_have(freq: str, position: int) -> None:
    timeline = Timeline(kind="time", freq=freq)
    monday = np.datetime64("2024-01-01")
    with pytest.raises(DsError, match=r"ds\[1\]: .* outside the years 1678 to 2261"):
        timeline.at(monday, np.array([0, position]))


@pytest.mark.parametrize("zone", ZONES)
def test_nothing_is_asked_of_an_empty_clock(zone: str) -> None:
    timeline = Timeline(kind="time", freq="h", timezone=zone)
    empty = timeline.parse([])
    assert timeline.format(empty) == []
    assert timeline.positions(np.datetime64("2024-01-01"), empty).shape == (0,)
    assert timeline.calendar(empty, default_calendar(timeline)).shape == (0, 4)


@pytest.mark.parametrize(
    ("kind", "freq", "timezone", "reason"),
    [
        ("time", "1", "UTC", "time stamps have a frequency"),
        ("time", "fortnight", "UTC", "unknown frequency 'fortnight'"),
        ("time", "h", "Mars/Olympus", "'Mars/Olympus' is no time zone"),
        ("time", "h", "../etc/passwd", "'../etc/passwd' is no time zone"),
        ("time", "h", "Europe", "'Europe' is no time zone"),
        ("clock", "h", "UTC", "'time' or 'integer'"),
    ],
)
def test_a_timeline_that_cannot_be_is_refused(
    kind: str, freq: str, timezone: str, reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason):
        Timeline.model_validate({"kind": kind, "freq": freq, "timezone": timezone})


def test_a_timeline_survives_json() -> None:
    timeline = Timeline(kind="time", freq="15T", timezone="Asia/Kathmandu")
    assert Timeline.model_validate_json(timeline.model_dump_json()) == timeline


def test_each_position_may_have_a_start_of_its_own() -> None:
    timeline = Timeline(kind="time", freq="ME")
    origins = np.array(["2024-01-31", "2023-12-31"], "M8[us]")
    assert timeline.format(timeline.at(origins, np.array([1, -1]))) == [
        "2024-02-29T00:00:00+00:00",
        "2023-11-30T00:00:00+00:00",
    ]
