"""The metrics' promises: M4's values, their invariances, and what they do about missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from models import metrics

Floats = NDArray[np.float64]
AXES: list[metrics.Axis] = [None, 0, (1, 2), 1]
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)

units = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda v: round(v, 3))
shapes = hnp.array_shapes(min_dims=3, max_dims=3, max_side=4)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Floats, Floats, Floats]:
    """Truth with gaps (S, W, H), quantiles (S, W, H, Q) ascending, scale (S, W)."""
    shape = draw(shapes)
    truth = draw(hnp.arrays(np.float64, shape, elements=units))
    gaps = draw(hnp.arrays(np.bool_, shape))
    quantiles = np.sort(draw(hnp.arrays(np.float64, (*shape, len(LEVELS)), elements=units)))
    scale = draw(hnp.arrays(np.float64, shape[:2], elements=st.floats(0.01, 1e3)))
    return np.where(gaps, np.nan, truth), quantiles, scale


def every_metric(
    truth: Floats, quantiles: Floats, scale: Floats, axis: metrics.Axis = None
) -> dict[str, Floats]:
    low, middle, high = quantiles[..., 0], quantiles[..., 2], quantiles[..., -1]
    return {
        "smape": metrics.smape(truth, middle, axis),
        "mae": metrics.mae(truth, middle, axis),
        "rmse": metrics.rmse(truth, middle, axis),
        "mase": metrics.mase(truth, middle, scale, axis),
        "msis": metrics.msis(truth, low, high, scale, axis),
        "coverage": metrics.coverage(truth, low, high, axis),
        "pinball": metrics.pinball(truth, quantiles, LEVELS, axis),
        "wql": metrics.weighted_quantile_loss(truth, quantiles, LEVELS, axis),
    }


def same(a: Any, b: Any) -> None:
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


@settings(deadline=None)
@given(cases(), st.sampled_from([0.001, 0.5, 8.0, 1000.0]))
def test_a_change_of_unit_scales_absolute_errors_and_leaves_relative_ones(
    case: tuple[Floats, Floats, Floats], unit: float
) -> None:
    truth, quantiles, scale = case
    before = every_metric(truth, quantiles, scale)
    after = every_metric(truth * unit, quantiles * unit, scale * unit)
    for name in ("mae", "rmse", "pinball"):
        np.testing.assert_allclose(after[name], before[name] * unit, rtol=1e-9)
    for name in ("smape", "mase", "msis", "wql"):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-9)


@settings(deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_series_does_not_matter(
    case: tuple[Floats, Floats, Floats], random: Any
) -> None:
    truth, quantiles, scale = case
    order = list(range(len(truth)))
    random.shuffle(order)
    before, after = (
        every_metric(truth, quantiles, scale),
        every_metric(truth[order], quantiles[order], scale[order]),
    )
    for name, value in before.items():
        same(after[name], value)


@settings(deadline=None)
@given(cases())
def test_metrics_stay_within_their_bounds(case: tuple[Floats, Floats, Floats]) -> None:
    truth, quantiles, scale = case
    values = every_metric(truth, quantiles, scale)
    if np.isnan(truth).all():
        assert all(np.isnan(value) for value in values.values())
        return
    assert 0 <= values["smape"] <= 200 * (1 + 1e-12)
    assert 0 <= values["coverage"] <= 1
    assert values["mae"] <= values["rmse"] * (1 + 1e-9)
    assert all(values[name] >= 0 for name in ("mase", "msis", "pinball", "rmse"))


@settings(deadline=None)
@given(cases())
def test_a_perfect_forecast_has_no_error_and_full_coverage(
    case: tuple[Floats, Floats, Floats],
) -> None:
    truth, _, scale = case
    values = every_metric(truth, np.repeat(truth[..., None], len(LEVELS), axis=-1), scale)
    if np.isnan(truth).all():
        return
    assert values.pop("coverage") == 1.0
    weighted = values.pop("wql")
    assert weighted == 0.0 or (np.isnan(weighted) and not np.nansum(np.abs(truth)))
    assert {float(value) for value in values.values()} == {0.0}


@settings(deadline=None)
@given(cases())
def test_pinball_at_the_median_is_half_the_mae(case: tuple[Floats, Floats, Floats]) -> None:
    truth, quantiles, _ = case
    middle = quantiles[..., 2:3]
    same(metrics.pinball(truth, middle, (0.5,)), metrics.mae(truth, middle[..., 0]) / 2)


@settings(deadline=None)
@given(cases(), st.sampled_from(AXES), units)
def test_what_was_never_observed_does_not_count(
    case: tuple[Floats, Floats, Floats], axis: metrics.Axis, junk: float
) -> None:
    truth, quantiles, scale = case
    elsewhere = np.where(np.isnan(truth)[..., None], junk, quantiles)
    before, after = (every_metric(truth, q, scale, axis) for q in (quantiles, elsewhere))
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)


@settings(deadline=None)
@given(cases())
def test_an_axis_gives_what_each_part_alone_gives(case: tuple[Floats, Floats, Floats]) -> None:
    truth, quantiles, scale = case
    together = every_metric(truth, quantiles, scale, (1, 2))
    for row in range(len(truth)):
        alone = every_metric(truth[row], quantiles[row], scale[row])
        for name, value in together.items():
            same(value[row], alone[name])


def test_a_forecaster_that_keeps_silent_gets_no_score() -> None:
    truth, forecast = np.array([1.0, 2.0]), np.array([1.0, np.nan])
    for metric in (metrics.smape, metrics.mae, metrics.rmse):
        assert np.isnan(metric(truth, forecast))
    assert np.isnan(metrics.coverage(truth, forecast, np.full(2, 9.0)))


def test_smape_is_the_200_version_and_zero_for_two_zeros() -> None:
    truth, forecast = np.array([1.0, 0.0, 0.0, 3.0]), np.array([3.0, 0.0, 5.0, -3.0])
    same(metrics.smape(truth, forecast, ()), [100.0, 0.0, 200.0, 200.0])


def test_the_scale_is_the_mean_absolute_seasonal_difference() -> None:
    history = np.array([1.0, 5.0, 2.0, 3.0, np.nan, 9.0])
    same(metrics.mase_scale(history, 2), (1 + 2 + 6) / 3)
    same(metrics.mase_scale(np.stack([history, history * 2]), 2), [3.0, 6.0])


@pytest.mark.parametrize(
    "history",
    [[], [1.0], [1.0, 2.0], [0.1] * 9, [np.nan] * 9, [0.1 + 0.2, 0.3] * 4],
    ids=["empty", "one", "no pair", "constant", "unobserved", "equal to rounding"],
)
def test_a_past_without_seasonal_differences_has_no_scale(history: list[float]) -> None:
    assert np.isnan(metrics.mase_scale(np.array(history, dtype=np.float64), 3))


def test_series_without_a_scale_are_left_out_of_the_mean_and_never_infinite() -> None:
    truth, forecast = np.zeros((2, 3)), np.full((2, 3), 4.0)
    scale = np.array([2.0, np.nan])
    assert metrics.mase(truth, forecast, scale) == 2.0
    np.testing.assert_array_equal(metrics.mase(truth, forecast, scale, -1), [2.0, np.nan])
    assert metrics.msis(truth, truth, forecast, scale) == 2.0


def test_msis_fines_a_miss_forty_times_its_distance() -> None:
    truth = np.array([[-1.0, 0.5, 3.0]])
    low, high = np.zeros((1, 3)), np.ones((1, 3))
    same(metrics.msis(truth, low, high, np.array([2.0])), (3 * 1 + 40 * 1 + 40 * 2) / 3 / 2)


def test_weighted_quantile_loss_is_a_ratio_of_sums() -> None:
    truth = np.array([[10.0, 0.0], [100.0, np.nan]])
    quantiles = np.array([[[8.0], [1.0]], [[110.0], [5.0]]])
    same(metrics.weighted_quantile_loss(truth, quantiles, (0.5,)), (2 + 1 + 10) / 110)
    assert np.isnan(metrics.weighted_quantile_loss(np.zeros((1, 2)), np.ones((1, 2, 1)), (0.5,)))


def test_a_ratio_to_next_to_nothing_is_nan_and_never_infinite() -> None:
    tiny = float(np.finfo(np.float64).tiny)
    truth, far = np.full((1, 3), tiny), np.full((1, 3), 1e6)
    assert np.isnan(metrics.weighted_quantile_loss(truth, far[..., None], (0.5,)))
    assert np.isnan(metrics.mase(truth, far, np.array([tiny])))
    assert np.isnan(metrics.msis(truth, truth, far, np.array([tiny])))


def test_owa_is_the_mean_of_two_ratios() -> None:
    assert metrics.owa(9.328, 0.893, 18.383, 2.395) == pytest.approx(0.440, abs=5e-4)
