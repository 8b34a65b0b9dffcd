"""Missing values of a window are filled in from other seasons, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.forecaster import new_forecaster
from models.gaps import filled, period_of
from models.predict import predict
from tests.models.histories import context_of, spec_of

NAN = float("nan")
WINDOWS = st.integers(1, 14).flatmap(
    lambda size: st.lists(
        st.lists(st.sampled_from([NAN, NAN, 1.0, 2.0, 3.0, 4.0]), min_size=size, max_size=size),
        min_size=1,
        max_size=4,
    )
)


def of(values: Sequence[float], period: int) -> list[float]:
    """A single window, filled in."""
    return filled(torch.tensor([values], dtype=torch.float64), period)[0].tolist()


def step_by_step(values: Sequence[float], period: int) -> list[float]:
    """What `filled` is to be, as one would say it."""
    size = len(values)

    def first(places: Sequence[int], known: Sequence[float]) -> float:
        return next((known[k] for k in places if not np.isnan(known[k])), NAN)

    def nearest(k: int, step: int, known: Sequence[float]) -> float:
        return first([*range(k, -1, -step), *range(k, size, step)], known)

    by_season = [nearest(k, period, values) for k in range(size)]
    begin = next((k for k, value in enumerate(values) if not np.isnan(value)), size)
    return [
        nearest(k, 1, by_season) if k < begin or period == 1 else value
        for k, value in enumerate(by_season)
    ]


@given(windows=WINDOWS, period=st.integers(1, 16))
def test_each_window_is_filled_in_as_one_would_say_it(
    windows: list[list[float]], period: int
) -> None:
    found = filled(torch.tensor(windows, dtype=torch.float64), period)
    np.testing.assert_array_equal(found, [step_by_step(window, period) for window in windows])


def test_a_value_is_that_of_the_newest_season_before_or_else_of_the_first_after() -> None:
    assert of([1.0, 2.0, 3.0, NAN, 5.0, NAN], 2) == [1.0, 2.0, 3.0, 2.0, 5.0, 2.0]
    assert of([NAN, NAN, 3.0, NAN, 5.0, 6.0], 2) == [3.0, 6.0, 3.0, 6.0, 5.0, 6.0]


def test_a_place_that_was_never_seen_stays_missing_once_there_is_a_past() -> None:
    np.testing.assert_array_equal(of([1.0, NAN, 2.0, NAN], 2), [1.0, NAN, 2.0, NAN])


def test_a_young_window_repeats_what_it_has_seen_of_a_season() -> None:
    assert of([NAN] * 7 + [1.0, 2.0, 3.0], 3) == [3.0, 1.0, 2.0] * 2 + [3.0, 1.0, 2.0, 3.0]
    assert of([NAN] * 4 + [1.0, 2.0], 4) == [1.0, 2.0, 2.0, 2.0, 1.0, 2.0]


def test_without_a_season_a_value_is_its_neighbours() -> None:
    assert of([NAN, 1.0, NAN, NAN, 4.0, NAN], 1) == [1.0, 1.0, 1.0, 1.0, 4.0, 4.0]


def test_where_nothing_was_observed_nothing_is_made_up() -> None:
    for period in (1, 3):
        assert np.isnan(of([NAN] * 5, period)).all()


@pytest.mark.parametrize(
    ("season", "size", "period"), [((24, 168), 168, 24), ((1, 7), 56, 7), ((12,), 8, 1), ((), 9, 1)]
)
def test_the_period_is_the_shortest_season_that_there_is_room_for(
    season: tuple[int, ...], size: int, period: int
) -> None:
    assert period_of(spec_of(season=season, input_size=size, lags=size)) == period


@pytest.mark.parametrize("fills", [False, True])
def test_a_network_that_fills_gaps_forecasts_a_season_through_them(fills: bool) -> None:
    spec = spec_of(season=(4,), input_size=16, lags=16, horizon=4, quantiles=(), fills_gaps=fills)
    pattern = np.array([5.0, 9.0, 2.0, 7.0])
    y = np.tile(pattern, 6)
    y[[9, 12, 22]] = np.nan  # the last is a season before one of those that are forecast
    forecaster = new_forecaster(spec, 0)
    with torch.no_grad():
        forecaster.head.state.weight.zero_()
    said = predict(forecaster, [replace(context_of(spec, 24, 0), y=y)])[0][:, 0]
    assert np.allclose(said, pattern, rtol=1e-5) == fills
