"""The frequency that stamps keep is found, or nothing is made up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.frequency import grid
from models.timeline import Timeline, infer_freq

from .timelines import FREQUENCIES, starts

# Not to be told apart from stamps alone: every third business day is no even number of days, and
# days that miss a weekend may be business days.
_ODD = {"3B", "24h"}
_READABLE = [freq for freq in FREQUENCIES if freq not in _ODD]


@settings(deadline=None)
@given(st.data(), st.sampled_from(_READABLE), st.sets(st.integers(1, 38), max_size=6))
def test_a_grid_with_gaps_gives_its_frequency(
    data: st.DataObject, freq: str, gaps: set[int]
) -> None:
    timeline = Timeline(kind="time", freq=freq)
    kept = np.array([i for i in range(40) if i not in gaps])
    clock = timeline.at(data.draw(starts(timeline)), kept)
    assert infer_freq(np.random.default_rng(0).permutation(clock)) == freq


@settings(deadline=None)
@given(st.data(), st.sampled_from(["min", "15min", "h", "6h", "24h"]))
def test_hours_are_no_days_where_stamps_are_utc(data: st.DataObject, freq: str) -> None:
    timeline = Timeline(kind="time", freq=freq)
    clock = timeline.at(data.draw(starts(timeline)), np.arange(20))
    assert infer_freq(clock, local=False) == freq


def test_series_may_stand_on_grids_of_their_own() -> None:
    clock = np.array(["2024-01-01T00", "2024-01-01T01", "2024-01-01T00:30", "2024-01-01T01:30"])
    stamps = clock.astype("M8[us]")
    assert infer_freq(stamps, np.array([0, 0, 1, 1])) == "h"
    assert infer_freq(stamps) == "30min"


@pytest.mark.parametrize("stamps", [[], ["2024-01-01"], ["2024-01-01", "2024-01-01"]])
def test_one_stamp_has_no_frequency(stamps: list[str]) -> None:
    with pytest.raises(ValueError, match="a single time stamp has no frequency: give one"):
        infer_freq(np.array(stamps, "M8[us]"))


def test_a_stray_stamp_is_not_taken_for_a_finer_grid() -> None:
    hours = np.arange(100) * np.timedelta64(1, "h") + np.datetime64("2024-01-01", "us")
    with pytest.raises(
        ValueError,
        match=r"^no even frequency: most steps are 1h, but others share only 1min with it; "
        "give the frequency$",
    ):
        infer_freq(np.append(hours, np.datetime64("2024-01-02T03:17", "us")))


def test_five_days_in_a_row_are_days() -> None:
    week = np.arange("2024-01-01", "2024-01-06", dtype="M8[D]")
    assert infer_freq(week) == "D"
    assert infer_freq(np.append(week, np.datetime64("2024-01-08"))) == "B"


def test_every_frequency_has_a_grid() -> None:
    for freq in FREQUENCIES:
        assert grid(freq).span > 0
