"""Frequencies read off stamps, and time zones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.timeline import Timeline
from tests.models.timelines import FREQUENCIES, ZONES, starts
from training.sources import DataError, load_frame


def _frame(ds: Any, **columns: Any) -> pl.DataFrame:
    series = ds if isinstance(ds, pl.Series) else pl.Series(ds)
    return pl.DataFrame({"ds": series, **columns}).with_columns(y=pl.int_range(pl.len()))


@settings(deadline=None)
@given(st.data(), st.sampled_from(FREQUENCIES), st.sampled_from(ZONES))
def test_the_frequency_is_read_off_stamps_in_their_zone(
    data: st.DataObject, freq: str, zone: str
) -> None:
    if freq == "3B" or (freq == "24h" and zone == "UTC"):
        return  # no even number of days; a day
    timeline = Timeline(kind="time", freq=freq, timezone=zone)
    start = data.draw(starts(timeline))
    clock = timeline.at(start, np.arange(40))
    texts = timeline.format(clock)
    panel = load_frame(_frame(texts), timezone=zone)
    shifts = len({str(text)[19:] for text in texts}) > 1
    if freq == "24h" and not shifts:  # without a change of the clock 24 hours are a day
        assert panel.timeline.freq == "D"
    else:
        assert panel.timeline == timeline
        assert panel.series[0].start == start
    assert len(panel.series[0]) == 40


@pytest.mark.parametrize(
    ("freq", "ds", "found"),
    [
        ("weekly", ["2024-01-06", "2024-01-13"], "W-SAT"),
        ("M", ["2024-01-01", "2024-02-01"], "MS"),
        ("1mo", ["2024-01-31", "2024-02-29"], "ME"),
        ("H", ["2024-01-01 00:00", "2024-01-01 01:00:00"], "h"),
        (None, ["2024-01", "2024-02", "2024-04"], "MS"),
        (None, ["2024-01-05", "2024-01-08", "2024-01-09"], "B"),
        (None, ["2020-02-29", "2021-02-28", "2022-02-28"], "YE-FEB"),
    ],
)
def test_names_of_frequencies_are_made_one_with_the_stamps(
    freq: str | None, ds: list[str], found: str
) -> None:
    assert load_frame(_frame(ds), freq=freq).timeline.freq == found


def test_days_are_days_through_a_change_of_the_clock() -> None:
    local = pd.date_range("2024-03-28", periods=6, freq="D", tz="Europe/Berlin")
    frame = _frame([stamp.to_pydatetime().astimezone(UTC) for stamp in local])
    panel = load_frame(frame, timezone="Europe/Berlin")
    assert panel.timeline.freq == "D"
    assert panel.series[0].start == np.datetime64("2024-03-28")
    with pytest.raises(DataError, match="comes 23h after the row before it"):
        load_frame(frame.head(5))  # of UTC they are no days


def test_hours_run_on_through_a_change_of_the_clock() -> None:
    hours = [datetime(2024, 10, 26, 22, tzinfo=UTC) + timedelta(hours=k) for k in range(6)]
    panel = load_frame(_frame(hours), timezone="Europe/Berlin")
    assert panel.timeline.freq == "h"
    assert panel.series[0].y.tolist() == [0, 1, 2, 3, 4, 5]
    assert panel.timeline.format(np.array([panel.series[0].start])) == ["2024-10-27T00:00:00+02:00"]


def test_a_first_day_that_began_at_one_does_not_move_the_others() -> None:
    stamps = ["2018-11-04T01:00-02:00", "2018-11-05T00:00-02:00", "2018-11-06T00:00-02:00"]
    panel = load_frame(_frame(stamps), freq="D", timezone="America/Sao_Paulo")
    assert panel.series[0].start == np.datetime64("2018-11-04")
    assert panel.series[0].y.tolist() == [0, 1, 2]


def test_a_typed_column_brings_its_zone() -> None:
    stamps = pl.Series(["2024-01-01T00:00", "2024-01-01T01:00"]).str.to_datetime()
    typed = stamps.dt.replace_time_zone("Asia/Kathmandu")
    panel = load_frame(_frame(typed))
    assert panel.timeline.timezone == "Asia/Kathmandu"
    assert panel.series[0].start == np.datetime64("2023-12-31T18:15")
    assert load_frame(_frame(typed), timezone="UTC").timeline.timezone == "UTC"
    assert load_frame(_frame(stamps)).timeline.timezone == "UTC"


@pytest.mark.parametrize(
    "ds",
    [
        [date(2024, 1, 1), date(2024, 1, 2)],
        [datetime(2024, 1, 1), datetime(2024, 1, 2)],
        pl.Series([datetime(2024, 1, 1), datetime(2024, 1, 2)], dtype=pl.Datetime("ms")),
        pl.Series([datetime(2024, 1, 1), datetime(2024, 1, 2)], dtype=pl.Datetime("ns")),
        [" 2024-01-01", "2024-01-02 00:00 "],
    ],
)
def test_dates_and_times_of_any_type_are_days(ds: Any) -> None:
    panel = load_frame(_frame(ds))
    assert panel.timeline.freq == "D"
    assert panel.series[0].start == np.datetime64("2024-01-01")


@pytest.mark.parametrize(
    "ds",
    [[5, 6], [5.0, 6.0], ["5", " 6"], [Decimal(5), Decimal(6)], pl.Series([5, 6], dtype=pl.UInt8)],
)
def test_whole_numbers_of_any_type_are_counted_steps(ds: Any) -> None:
    panel = load_frame(_frame(ds))
    assert (panel.timeline.kind, panel.timeline.freq) == ("integer", "1")
    assert panel.series[0].start == 5


@pytest.mark.parametrize("ds", [[1.5, 2.0], [1, 2**60], ["1", "1e3"]])
def test_numbers_that_count_nothing_are_faults(ds: Any) -> None:
    with pytest.raises(DataError, match="is no whole number, as others are"):
        load_frame(_frame(ds))


def test_a_nanosecond_is_not_rounded_away() -> None:
    ds = pl.Series([0, 1], dtype=pl.Int64).cast(pl.Datetime("ns"))
    with pytest.raises(
        DataError,
        match=r"row 2, column 'ds': 1970-01-01 00:00:00.000000001 is finer than a microsecond",
    ):
        load_frame(_frame(ds))


def test_series_may_stand_on_grids_of_their_own() -> None:
    ds = ["2024-01-01 00:00", "2024-01-01 01:00", "2024-01-01 00:30", "2024-01-01 01:30"]
    panel = load_frame(_frame(ds, unique_id=["a", "a", "b", "b"]))
    assert panel.timeline.freq == "h"
    assert panel.series[1].start == np.datetime64("2024-01-01T00:30")
