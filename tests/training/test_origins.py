"""Which windows a backtest has, and what it says of series that have none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.metrics import mase_scale
from tests.training.panels import HOURS, MIDNIGHT, panel_of, seasonal, series_of
from training.origins import rolling_windows
from training.panel import Panel

NAN = float("nan")


def test_windows_count_back_from_each_series_own_end() -> None:
    panel = panel_of(seasonal(20), seasonal(14))
    windows = rolling_windows(panel, horizon=3, season=4, n_windows=2)
    np.testing.assert_array_equal(windows.origins, [[14, 17], [8, 11]])
    np.testing.assert_array_equal(windows.truth[1, 0], panel.series[1].y[8:11])


def test_a_step_smaller_than_the_horizon_makes_windows_overlap() -> None:
    windows = rolling_windows(panel_of(seasonal(20)), horizon=3, season=4, n_windows=3, step_size=1)
    np.testing.assert_array_equal(windows.origins, [[15, 16, 17]])


def test_a_series_has_as_many_windows_as_its_past_allows() -> None:
    panel = panel_of(seasonal(20), seasonal(11), seasonal(7))
    windows = rolling_windows(panel, horizon=3, season=4, n_windows=3)
    np.testing.assert_array_equal(windows.origins, [[11, 14, 17], [-1, 5, 8]])
    np.testing.assert_array_equal(windows.series, [0, 1])
    assert [(left.unique_id, left.reason) for left in windows.left_out] == [
        ("c", "7 steps: 5 before a window and 3 in it")
    ]


def test_the_cutoff_is_the_last_instant_that_first_windows_see() -> None:
    late = MIDNIGHT + np.timedelta64(5, "h")
    panel = Panel(
        HOURS,
        (series_of("a", seasonal(20), MIDNIGHT), series_of("b", seasonal(20), late)),
    )
    cutoff = MIDNIGHT + np.timedelta64(10, "h") + np.timedelta64(30, "m")  # between two steps
    windows = rolling_windows(panel, horizon=3, season=4, n_windows=3, cutoff=cutoff)
    np.testing.assert_array_equal(windows.origins, [[11, 14, 17], [6, 9, 12]])


def test_windows_after_a_cutoff_end_with_the_data() -> None:
    panel = panel_of(seasonal(20), seasonal(17), seasonal(15))
    windows = rolling_windows(panel, horizon=3, season=4, n_windows=3, cutoff=12)
    np.testing.assert_array_equal(windows.origins, [[13, 16, -1], [13, -1, -1]])
    assert windows.left_out[0].reason == (
        "15 steps, windows from 13 on: 5 before a window and 3 in it"
    )


def test_windows_with_nothing_to_see_or_to_score_are_left_out() -> None:
    blind, mute = seasonal(20), seasonal(20)
    blind[:15], mute[17:] = NAN, NAN
    windows = rolling_windows(panel_of(blind, mute, mute * NAN), horizon=3, season=4, n_windows=2)
    np.testing.assert_array_equal(windows.origins, [[-1, 17], [14, -1]])
    assert windows.left_out[0].unique_id == "c"
    assert "nothing observed" in windows.left_out[0].reason


def test_a_panel_without_any_window_says_why() -> None:
    with pytest.raises(ValueError, match="no series has a window; a: 5 steps: 5 before"):
        rolling_windows(panel_of(seasonal(5)), horizon=3, season=4)
    with pytest.raises(ValueError, match="no series"):
        rolling_windows(panel_of(), horizon=3, season=4)


@pytest.mark.parametrize("wrong", [{"n_windows": 0}, {"step_size": -1}, {"season": 0}])
def test_counts_below_one_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="count from one"):
        rolling_windows(panel_of(seasonal(30)), **({"horizon": 3, "season": 4} | wrong))


@settings(deadline=None)
@given(st.integers(6, 40), st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_the_scale_knows_only_what_its_window_may_see(
    length: int, n_windows: int, step_size: int, seed: int
) -> None:
    y = seasonal(length, seed)
    windows = rolling_windows(
        panel_of(y), horizon=1, season=4, n_windows=n_windows, step_size=step_size
    )
    for window, origin in enumerate(windows.origins[0]):
        if origin < 0:
            assert np.isnan(windows.truth[0, window]).all()
            assert np.isnan(windows.scale[0, window])
        else:
            assert windows.scale[0, window] == mase_scale(y[:origin], 4)
            assert windows.truth[0, window, 0] == y[origin]


def test_the_digest_is_of_what_is_scored() -> None:
    y = seasonal(20)
    digests = {
        rolling_windows(panel_of(values), horizon=3, season=season, n_windows=n).digest
        for values, season, n in ((y, 4, 1), (y, 4, 2), (y, 3, 1), (y + 1.0, 4, 1))
    }
    assert len(digests) == 4
    again = rolling_windows(panel_of(y), horizon=3, season=4, n_windows=1)
    assert again.digest in digests
