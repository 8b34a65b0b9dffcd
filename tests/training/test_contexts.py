"""A context is the series before its origin, in the spec's order, and nothing after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.training.panels import HOURS, MIDNIGHT, spec_of
from training.contexts import context, contexts
from training.panel import Panel, Series

STEPS, AHEAD = 30, 2  # futr_exog is known two steps beyond the series
SPEC = spec_of(
    HOURS,
    calendar=("hour_of_day", "day_of_week"),
    hist_exog=("wind", "rain"),
    futr_exog=("price",),
    stat_exog=("size",),
)


def panel(after: int = STEPS, noise: float = 0.0) -> Panel:
    """One series whose y and hist_exog, from step `after` on, carry noise."""
    late = noise * (np.arange(STEPS) >= after)
    rain, wind = np.arange(STEPS) + late, np.arange(STEPS) + 0.5 + late
    price, unused = np.arange(STEPS + AHEAD) * 10.0, np.zeros(STEPS + AHEAD)
    series = Series(
        unique_id="a",
        start=MIDNIGHT,
        y=np.arange(STEPS) + 100.0 + late,
        hist_exog=np.stack([rain, wind], axis=1),
        futr_exog=np.stack([unused, price], axis=1),
        stat_exog=np.array([1.0, 2.0]),
    )
    return Panel(HOURS, (series,), ("rain", "wind"), ("unused", "price"), ("colour", "size"))


def test_a_context_is_everything_before_its_origin() -> None:
    here = panel()
    given_ = context(here, here.series[0], SPEC, 10)
    np.testing.assert_array_equal(given_.y, np.arange(10) + 100.0)
    assert given_.exog.shape == (10, SPEC.exog_size)
    assert given_.exog.dtype == given_.futr.dtype == given_.stat.dtype == np.float32
    assert given_.y.dtype == np.float64


def test_channels_are_calendar_then_hist_then_futr_matched_by_name() -> None:
    here = panel()
    given_ = context(here, here.series[0], SPEC, 10)
    clock = HOURS.at(MIDNIGHT, np.arange(10))
    np.testing.assert_array_equal(given_.exog[:, :4], HOURS.calendar(clock, SPEC.calendar))
    np.testing.assert_array_equal(given_.exog[:, 4], np.arange(10, dtype=np.float32) + 0.5)
    np.testing.assert_array_equal(given_.exog[:, 5], np.arange(10, dtype=np.float32))
    np.testing.assert_array_equal(given_.exog[:, 6], np.arange(10, dtype=np.float32) * 10)
    np.testing.assert_array_equal(given_.futr[:, 0], [100, 110, 120])
    np.testing.assert_array_equal(given_.stat, [2.0])


def test_the_future_beyond_what_is_known_is_nan() -> None:
    here = panel()
    futr = context(here, here.series[0], SPEC, STEPS).futr
    np.testing.assert_array_equal(futr[:, 0], [300, 310, np.nan])


@settings(deadline=None)
@given(st.integers(0, STEPS))
def test_no_value_at_or_after_the_origin_reaches_a_context(origin: int) -> None:
    clean, changed = panel(), panel(after=origin, noise=1e6)
    before = context(clean, clean.series[0], SPEC, origin)
    after = context(changed, changed.series[0], SPEC, origin)
    assert before.y.shape == (origin,)
    np.testing.assert_array_equal(after.y, before.y)
    np.testing.assert_array_equal(after.exog, before.exog)
    np.testing.assert_array_equal(after.futr, before.futr)


def test_many_origins_give_what_each_alone_gives() -> None:
    here = panel()
    series = here.series[0]
    for origin, together in zip((0, 7, 30), contexts(here, series, SPEC, (0, 7, 30)), strict=True):
        alone = context(here, series, SPEC, origin)
        for field in ("y", "exog", "futr", "stat"):
            np.testing.assert_array_equal(getattr(together, field), getattr(alone, field))


def test_a_covariate_that_the_panel_lacks_is_named() -> None:
    here = replace(panel(), hist_exog=("rain", "sun"))
    with pytest.raises(ValueError, match="lack hist_exog wind; they have rain, sun"):
        context(here, here.series[0], SPEC, 5)
    with pytest.raises(ValueError, match="lack futr_exog price; they have none"):
        context(replace(panel(), futr_exog=()), here.series[0], SPEC, 5)


@pytest.mark.parametrize("origin", [-1, STEPS + 1])
def test_an_origin_outside_the_series_is_refused(origin: int) -> None:
    here = panel()
    with pytest.raises(ValueError, match="lies outside the 30 steps"):
        context(here, here.series[0], SPEC, origin)


def test_a_panel_on_another_timeline_is_refused() -> None:
    here = panel()
    with pytest.raises(ValueError, match="the forecaster runs on"):
        context(here, here.series[0], spec_of(), 5)


def test_a_category_is_found_by_its_word_and_one_never_seen_is_unknown() -> None:
    here = replace(panel(), categories={"size": ("large", "medium", "small")})
    series = here.series[0]  # its size is "small"
    for known, place in ((("small", "tiny"), 0.0), (("huge", "small"), 1.0), (("huge",), np.nan)):
        spec = SPEC.model_copy(update={"categorical": (("size", known),)})
        np.testing.assert_array_equal(context(here, series, spec, 5).stat, [place])


def test_numbers_where_the_forecaster_knows_categories_are_told() -> None:
    here, spec = panel(), SPEC.model_copy(update={"categorical": (("size", ("small",)),)})
    with pytest.raises(ValueError, match="size holds numbers, the forecaster knows categories"):
        context(here, here.series[0], spec, 5)
    there = replace(here, categories={"size": ("large", "medium", "small")})
    with pytest.raises(ValueError, match="size holds categories, the forecaster knows numbers"):
        context(there, there.series[0], SPEC, 5)
