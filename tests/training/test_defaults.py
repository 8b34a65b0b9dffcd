"""What a fit does when nothing is said."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.timeline import Timeline
from tests.training.panels import MIDNIGHT, panel_of, series_of
from training.defaults import default_schedule, default_spec, default_windows
from training.panel import Panel
from training.schedule import Start


def panel(freq: str, *lengths: int) -> Panel:
    """Positive series of a frequency."""
    counted = freq == "1"
    timeline = Timeline(kind="integer" if counted else "time", freq=freq)
    start = 0 if counted else MIDNIGHT
    series = tuple(
        series_of(str(row), np.arange(n) % 7 + np.ones(n), start) for row, n in enumerate(lengths)
    )
    return Panel(timeline, series)


@pytest.mark.parametrize(
    ("freq", "length", "horizon", "season", "window"),
    [
        ("h", 1000, 48, (24, 168), 168),
        ("h", 300, 48, (24, 168), 96),  # 168 would leave too little to forecast from
        ("h", 60, 24, (24, 168), 24),  # nor does 24, but it was seen and can be repeated
        ("h", 24, 24, (24, 168), 24),
        ("h", 20, 6, (24, 168), 7),  # what there is
        ("15min", 2000, 96, (96, 672), 192),  # 672 is too long to look at
        ("D", 400, 14, (7,), 56),
        ("D", 250, 14, (7,), 35),  # a sixth of it, in weeks
        ("D", 100, 14, (7,), 28),
        ("W-SUN", 500, 26, (52,), 104),
        ("W-SUN", 500, 52, (52,), 104),
        ("W-SUN", 100, 13, (52,), 52),
        ("W-SUN", 51, 13, (52,), 19),
        ("MS", 120, 12, (12,), 48),
        ("MS", 900, 12, (12,), 60),
        ("QS", 60, 4, (4,), 16),
        ("QS", 26, 8, (4,), 8),  # more of them would leave too little
        ("h", 9000, 720, (24, 168), 336),
        ("YS", 40, 6, (), 12),
        ("1", 200, 10, (), 20),
        ("1", 12, 10, (), 1),
        ("1", 1, 10, (), 1),
    ],
)
def test_the_window_is_the_longest_season_that_leaves_enough(
    freq: str, length: int, horizon: int, season: tuple[int, ...], window: int
) -> None:
    spec = default_spec(panel(freq, length), cell="lstm", horizon=horizon)
    assert (spec.season, spec.input_size, spec.lags) == (season, window, window)
    assert spec.horizon == horizon


def test_a_season_given_takes_the_place_of_the_frequency_s() -> None:
    hours = panel("h", 1000)
    given = default_spec(hours, cell="gru", horizon=24, season=(48, 24, 48))
    assert (given.season, given.input_size) == ((24, 48), 96)
    none = default_spec(hours, cell="gru", horizon=24, season=())
    assert (none.season, none.input_size) == ((), 48)


SMALL, LARGE = (48, 1, 0), (96, 2, 128)


@pytest.mark.parametrize(
    ("lengths", "network"),
    [
        ([4_999] * 10, SMALL),
        ([5_000] * 10, LARGE),
        ([9_999], SMALL),  # one series, and so a long one
        ([10_000], LARGE),
        ([10_000, 9_999], SMALL),
        ([15_000, 5_000], LARGE),
    ],
)
def test_much_data_take_the_larger_network_and_so_do_long_series(
    lengths: list[int], network: tuple[int, int, int]
) -> None:
    hours = panel("h", *lengths)
    spec = default_spec(hours, cell="lstm", horizon=24)
    assert (spec.hidden_size, spec.layers, spec.gated) == network
    schedule = default_schedule(hours, horizon=24)
    large = network == LARGE
    assert (schedule.batches, schedule.learning_rate) == ((1500, 3e-3) if large else (600, 2e-3))


def test_what_was_not_observed_makes_no_series_long() -> None:
    y = np.where(np.arange(20_000) % 3, np.nan, 1.0 + np.arange(20_000))
    assert default_spec(panel_of(y), cell="gru", horizon=24).hidden_size == SMALL[0]


@pytest.mark.parametrize(
    ("y", "transform"),
    [
        (np.arange(1.0, 50.0), "log"),
        (np.arange(0.0, 50.0), "none"),
        (np.arange(-5.0, 50.0), "none"),
        (np.where(np.arange(50) % 3, 4.0, np.nan), "log"),
        (np.full(50, np.nan), "none"),
    ],
)
def test_only_what_is_always_positive_is_thought_of_in_logarithms(
    y: NDArray[np.float64], transform: str
) -> None:
    spec = default_spec(panel_of(y), cell="lstm", horizon=3)
    assert spec.transform == transform
    if transform == "log":
        assert spec.log_floor == pytest.approx(np.nanmin(y) / 100)


@pytest.mark.parametrize(
    ("least", "nonnegative"), [(0.0, True), (2.0, True), (-1e-9, False), (np.nan, True)]
)
def test_what_never_was_negative_is_forecast_from_zero_on(least: float, nonnegative: bool) -> None:
    y = np.array([*range(3, 60), least])
    assert default_spec(panel_of(y), cell="gru", horizon=3).nonnegative == nonnegative


@pytest.mark.parametrize(
    ("y", "resolution"),
    [
        ([0.0, 3.0, 2.0, np.nan, 0.0, 7.0], 1.0),
        ([-1.5, 0.0, 2.0, 2.5], 0.5),
        ([0.0, 1.0, 1.0 + 1e-9, 3.0], 1e-9),
        ([3.0, 2.0, 1.0, 7.0], 1.0),  # unseen in the logarithm; a search may go without that
        ([0.0] * 4, 0.0),
        ([-1.7e308, 0.0, 1.7e308], 1.7e308),
        ([-1.7e308, 1.7e308], 0.0),
    ],
)
def test_the_resolution_of_data_is_the_least_step_between_two_values(
    y: list[float], resolution: float
) -> None:
    spec = default_spec(panel_of(np.array(y)), cell="gru", horizon=3)
    assert spec.resolution == pytest.approx(resolution)


def test_a_value_next_to_nothing_is_taken_for_zero() -> None:
    spec = default_spec(panel_of(np.geomspace(5e-324, 500.0, 50)), cell="lstm", horizon=3)
    assert spec.transform == "log"
    assert spec.log_floor == pytest.approx(5e-9)


def test_covariates_and_the_calendar_come_with_the_panel() -> None:
    here = Panel(panel("h", 100).timeline, panel("h", 100).series, ("a",), ("b",), ("c",))
    spec = default_spec(here, cell="lstm", horizon=3)
    assert (spec.hist_exog, spec.futr_exog, spec.stat_exog) == (("a",), ("b",), ("c",))
    assert "hour_of_day" in spec.calendar
    assert default_spec(panel("1", 100), cell="lstm", horizon=3).calendar == ()


@pytest.mark.parametrize(
    ("lengths", "lanes", "steps"),
    [((1,), 16, 16), ((30,), 16, 16), ((400,), 16, 100), ((1000,) * 20, 64, 240)],
    ids=["one value", "short", "one series", "many"],
)
def test_batches_are_smaller_where_there_is_less_to_learn_from(
    lengths: tuple[int, ...], lanes: int, steps: int
) -> None:
    schedule = default_schedule(panel("1", *lengths), horizon=24, seed=7, threads=2)
    assert (schedule.lanes, schedule.steps) == (lanes, steps)
    assert schedule.origins <= schedule.steps
    assert (schedule.seed, schedule.threads) == (7, 2)


def test_much_data_is_learnt_from_in_more_batches() -> None:
    little, much = (default_schedule(panel("1", *[1000] * n), horizon=24).batches for n in (49, 50))
    assert little < much


def test_a_fit_takes_one_thread_unless_it_is_told_otherwise() -> None:
    assert default_schedule(panel("h", 100), horizon=24).threads == 1
    assert default_schedule(panel("h", 100), horizon=24, threads=0).threads == 0


def test_no_series_at_all_have_defaults_too() -> None:
    empty = Panel(panel("h", 1).timeline, ())
    assert default_spec(empty, cell="lstm", horizon=3).input_size >= 1
    assert default_schedule(empty, horizon=24).batches >= 1


@pytest.mark.parametrize(
    ("lengths", "horizon", "windows"),
    [
        ([2000] * 20, 24, 8),
        ([2000], 24, 12),  # one series says little of a window
        ([2000] * 20, 96, 5),  # a quarter of what there is
        ([60] * 20, 48, 1),
    ],
)
def test_a_retraining_is_judged_by_windows_that_the_data_can_spare(
    lengths: list[int], horizon: int, windows: int
) -> None:
    assert default_windows(panel("h", *lengths), horizon) == windows


@pytest.mark.parametrize(
    ("lengths", "start"),
    [
        ([200], "near"),
        ([9_999], "near"),
        ([10_000], "linear"),
        ([10_000] * 7, "linear"),
        ([9_999] * 5, "near"),
        ([1_000] * 50, "naive"),  # too unlike for one map
    ],
)
def test_training_begins_with_the_line_but_for_many_short_series(
    lengths: list[int], start: Start
) -> None:
    assert default_schedule(panel("h", *lengths), horizon=24).start == start


def test_a_fit_that_begins_with_the_line_ends_with_its_cycle() -> None:
    free, near = (default_schedule(panel("h", n), horizon=24) for n in (10_000, 9_999))
    assert free.patience >= free.evaluations
    assert near.patience < near.evaluations


@pytest.mark.parametrize(("horizon", "origins"), [(1, 60), (96, 60), (336, 17), (9_000, 8)])
def test_the_farther_is_forecast_the_fewer_are_the_origins_of_a_batch(
    horizon: int, origins: int
) -> None:
    assert default_schedule(panel("h", 10_000), horizon=horizon).origins == origins
