"""Intervals in percent as quantiles, and quantiles between the trained ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.levels import at_levels, quantiles_of

TRAINED = (0.025, 0.1, 0.5, 0.9, 0.975)
VALUES = np.array([[0.0, 1.0, 2.0, 4.0, 8.0], [10.0, 10.0, 10.0, 10.0, 10.0]])


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ([80], (0.1, 0.9)),
        ([95, 80], (0.025, 0.1, 0.9, 0.975)),
        ([80, 80.0], (0.1, 0.9)),
        ([99.9], (0.0005, 0.9995)),
        ([], ()),
    ],
)
def test_an_interval_in_percent_is_its_two_quantiles(
    level: list[float], expected: tuple[float, ...]
) -> None:
    assert quantiles_of(level) == expected


@pytest.mark.parametrize("percent", [0, 100, -5, 120, float("nan"), float("inf")])
def test_a_level_that_is_no_interval_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        quantiles_of([80, percent])


def test_trained_levels_come_back_as_they_are() -> None:
    np.testing.assert_array_equal(at_levels(TRAINED, VALUES, TRAINED), VALUES)
    np.testing.assert_array_equal(
        at_levels(TRAINED, VALUES, (1 - 0.975, 1 - 0.025)), VALUES[:, ::4]
    )


def test_between_two_trained_levels_the_line_is_taken() -> None:
    np.testing.assert_allclose(at_levels(TRAINED, VALUES, (0.3, 0.7))[0], [1.5, 3.0])


@given(st.lists(st.floats(0.025, 0.975), min_size=1, max_size=6), st.permutations(range(5)))
def test_levels_asked_for_ascend_with_what_was_trained(
    wanted: list[float], order: list[int]
) -> None:
    values: NDArray[np.float64] = np.sort(VALUES[:1] + np.array(order) / 10)
    between = at_levels(TRAINED, values, wanted)
    assert between.shape == (1, len(wanted))
    assert (values.min() <= between).all()
    assert (between <= values.max()).all()
    ascending = at_levels(TRAINED, values, sorted(wanted))
    assert (np.diff(ascending) >= -1e-12).all()
    np.testing.assert_allclose(between[0], np.interp(wanted, TRAINED, values[0]), atol=1e-6)


@pytest.mark.parametrize("level", [0.01, 0.98, 0.0, 1.0, float("nan")])
def test_a_tail_is_not_made_up(level: float) -> None:
    with pytest.raises(ValueError, match=r"within 0\.025 and 0\.975"):
        at_levels(TRAINED, VALUES, (0.5, level))


def test_a_point_forecaster_has_no_quantiles() -> None:
    with pytest.raises(ValueError, match="point forecaster"):
        at_levels((), np.ones((2, 1)), (0.5,))


def test_nothing_asked_for_is_nothing_given() -> None:
    assert at_levels(TRAINED, VALUES, ()).shape == (2, 0)
