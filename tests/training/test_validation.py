"""What is held back from learning, and the loss on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.context import Context
from models.forecaster import new_forecaster
from models.predict import predict
from tests.training.panels import seasonal, spec_of
from tests.training.trainers import past_of
from training.validation import Validation, newest, validation

SPEC = spec_of()  # horizon 3, a season of 4, a window of 8


def of_lengths(*lengths: int) -> Validation:
    return validation(SPEC, [past_of(seasonal(n, n)) for n in lengths], seed=0)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 120), min_size=1, max_size=6), st.integers(1, 24))
def test_windows_lie_behind_what_is_learnt_and_within_the_series(
    lengths: list[int], horizon: int
) -> None:
    spec = SPEC.model_copy(update={"horizon": horizon})
    pasts = [past_of(seasonal(n, row)) for row, n in enumerate(lengths)]
    if max(lengths) < 2:
        with pytest.raises(ValueError, match="no series is long enough"):
            validation(spec, pasts, seed=0)
        return
    held = validation(spec, pasts, seed=0)
    assert (held.ends <= lengths).all()
    assert (held.ends >= np.array(lengths) // 2).all()  # most is left to learn from
    for context, truth in zip(held.contexts, held.truth, strict=True):
        rows = [
            row
            for row, past in enumerate(pasts)
            if np.array_equal(past.y[: context.y.size], context.y)
        ]
        (row,) = rows
        origin = context.y.size
        assert origin >= held.ends[row]
        ahead = pasts[row].y[origin : origin + horizon]
        assert ahead.size
        np.testing.assert_array_equal(truth[: ahead.size], ahead)
        assert np.isnan(truth[ahead.size :]).all()


def test_few_series_are_held_back_more_of() -> None:
    assert len(of_lengths(900).contexts) == 64
    assert len(of_lengths(600, 601, 602, 603).contexts) == 64
    assert len(of_lengths(*range(200, 240)).contexts) == 40


def test_the_shorter_a_series_the_fewer_windows_are_held_back() -> None:
    assert of_lengths(480).ends.tolist() == [440]  # a twelfth
    assert of_lengths(90).ends.tolist() == [80]  # eight windows, which are less than a sixth
    assert of_lengths(36).ends.tolist() == [30]  # a sixth
    assert of_lengths(12).ends.tolist() == [9]  # a horizon
    assert of_lengths(6).ends.tolist() == [4]  # a third


def test_of_a_long_history_the_newest_steps_are_read() -> None:
    long = past_of(seasonal(3_000))
    held = validation(SPEC, [long], seed=0)
    assert {context.y.size for context in held.contexts} == {1_024}
    newest_known = held.contexts[-1].y
    np.testing.assert_array_equal(newest_known, long.y[: 3_000 - SPEC.horizon][-1_024:])
    wide = SPEC.model_copy(update={"input_size": 800, "lags": 8})
    assert {context.y.size for context in validation(wide, [long], seed=0).contexts} == {1_600}


def test_of_many_series_a_seeded_part_is_looked_at() -> None:
    pasts = [past_of(seasonal(30, n)) for n in range(300)]
    one, same, other = (validation(SPEC, pasts, seed=seed) for seed in (0, 0, 1))
    assert len(one.contexts) == len(one.truth) == len(one.scale) == 128
    np.testing.assert_array_equal(one.truth, same.truth)
    assert not np.array_equal(one.truth, other.truth)


def test_the_newest_windows_are_whole_and_have_a_horizon_after_them() -> None:
    spec = spec_of()  # windows of 8, horizons of 3
    pasts = [past_of(np.arange(float(n))) for n in (10, 11, 30)] + [past_of(np.ones(30))]
    held = newest(spec, pasts)
    assert [known.y.size for known in held.contexts] == [8, 27]
    assert held.truth.tolist() == [[8.0, 9.0, 10.0], [27.0, 28.0, 29.0]]
    assert held.scale.tolist() == [4.0, 4.0]


def test_no_series_are_too_short_to_learn_from() -> None:
    with pytest.raises(ValueError, match="no series is long enough"):
        validation(SPEC, [], seed=0)


@pytest.mark.parametrize(
    "y",
    [np.full(60, 3.0), np.full(60, np.nan), np.where(np.arange(60) < 30, seasonal(60), np.nan)],
    ids=["constant", "nothing observed", "nothing observed of late"],
)
def test_what_cannot_be_scored_is_no_window(
    y: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> None:
    held = validation(SPEC, [past_of(y)], seed=0)
    assert held.contexts == ()
    assert np.isnan(held.loss(new_forecaster(SPEC, 0)))


@pytest.mark.parametrize("quantiles", [(), (0.1, 0.5, 0.9)])
def test_a_window_without_a_recent_value_is_left_out(quantiles: tuple[float, ...]) -> None:
    spec = spec_of(quantiles=quantiles)
    y = seasonal(100)
    y[70:88] = np.nan  # a window of eight steps in there holds nothing
    held = validation(spec, [past_of(y)], seed=0)
    assert held.contexts
    assert all(np.isfinite(context.y[-8:]).any() for context in held.contexts)
    assert np.isfinite(held.loss(new_forecaster(spec, 0)))


def test_the_loss_is_the_scaled_pinball_of_the_windows() -> None:
    held, forecaster = of_lengths(60, 80), new_forecaster(SPEC, 0)
    values, levels = predict(forecaster, held.contexts), np.array(SPEC.quantiles)
    error = held.truth[..., None] - values
    each = np.maximum(levels * error, (levels - 1) * error).mean(axis=(1, 2)) / held.scale
    assert held.loss(forecaster) == pytest.approx(each.mean())


def test_a_point_head_is_held_to_the_squared_error() -> None:
    spec = spec_of(quantiles=())
    held, forecaster = of_lengths(60, 80), new_forecaster(spec, 0)
    truth = held.truth.copy()
    truth[0, 1] = np.nan  # not observed, not counted
    error = truth - predict(forecaster, held.contexts)[..., 0]
    expected = (np.nanmean(error**2, axis=1) / held.scale**2).mean()
    assert replace(held, truth=truth).loss(forecaster) == pytest.approx(expected)


def test_a_forecast_that_is_no_number_is_the_worst() -> None:
    held, forecaster = of_lengths(60, 80), new_forecaster(SPEC, 0)
    with torch.no_grad():
        forecaster.head.state.bias[0] = torch.inf
    assert held.loss(forecaster) == float("inf")


def test_the_scale_is_the_seasonal_difference_of_what_is_learnt() -> None:
    y = seasonal(60)
    held = validation(SPEC, [past_of(y)], seed=0)
    learnt = y[: held.ends[0]]
    np.testing.assert_allclose(held.scale, np.abs(learnt[4:] - learnt[:-4]).mean())


def test_a_window_knows_the_future_covariates_of_its_own_steps() -> None:
    spec = spec_of(futr_exog=("price",))
    price = np.arange(63, dtype=np.float32)[:, None]
    past = Context(seasonal(60), price[:60], price[60:], np.empty(0, dtype=np.float32))
    held = validation(spec, [past], seed=0)
    for context in held.contexts:
        origin = context.y.size
        np.testing.assert_array_equal(context.futr[:, 0], np.arange(origin, origin + 3))
        np.testing.assert_array_equal(context.exog[:, 0], np.arange(origin))
