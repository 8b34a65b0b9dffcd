"""A stream alone takes the same step as in a batch, whatever its forecaster is."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.spec import Spec
from models.stepper import Stepper
from tests.models.histories import (
    GAPS,
    assert_same,
    context_of,
    futr_of,
    loud,
    scale_of,
    spec_of,
    specs,
    stat_of,
    steps_of,
)

seeds = st.integers(0, 2**16)


@torch.inference_mode()
@settings(max_examples=150)
@given(specs(), st.integers(1, 30), st.sampled_from(GAPS), seeds)
@example(spec_of(cell="lstm", layers=2, gated=5), 30, "none", 0)
@example(spec_of(cell="gru", transform="log", futr_exog=("price",)), 30, "leading", 1)
@example(spec_of(cell="elman", stat_exog=("area",), hist_exog=("wind",)), 30, "none", 2)
def test_a_stream_alone_takes_the_step_of_the_forecaster(
    spec: Spec, length: int, gaps: str, seed: int
) -> None:
    forecaster, context = loud(spec, seed), context_of(spec, length, seed, gaps)
    stepper, steps, futr = Stepper(forecaster), steps_of(context), futr_of(context)
    state = expected = forecaster.initial_state(1, stat_of(context))
    for step in range(length):
        y, exog = steps.y[:, step], steps.exog[:, step]
        state, values = stepper.step(state, y, exog, futr)
        advanced = stepper.advance(expected, y, exog)
        read = stepper.forecast(state, futr)
        torch.testing.assert_close(read, values, rtol=0, atol=0, equal_nan=True)
        expected, wanted = forecaster.step(expected, y, exog, futr)
        torch.testing.assert_close(advanced.memory, expected.memory, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(state.ring, expected.ring, rtol=1e-12, atol=0, equal_nan=True)
        torch.testing.assert_close(state.memory, expected.memory, rtol=1e-5, atol=1e-5)
        assert values.shape == wanted.shape
        assert values.dtype == wanted.dtype
        assert_same(values, wanted, scale_of(steps))


@torch.inference_mode()
@pytest.mark.parametrize("n", [0, 2])
def test_more_streams_than_one_are_the_forecasters_own(n: int) -> None:
    forecaster = loud(spec_of(), 0)
    state, y = forecaster.initial_state(n), torch.full((n,), 5.0, dtype=torch.float64)
    (after, values), (expected, wanted) = (
        each.step(state, y) for each in (Stepper(forecaster), forecaster)
    )
    torch.testing.assert_close(after.memory, expected.memory, rtol=0, atol=0)
    torch.testing.assert_close(values, wanted, rtol=0, atol=0)


@torch.inference_mode()
def test_what_is_not_given_is_unknown_to_a_stream_alone() -> None:
    spec = spec_of(input_size=2, lags=2, hist_exog=("wind",), futr_exog=("price",))
    stepper = Stepper(forecaster := loud(spec, 0))
    state = forecaster.initial_state(1)
    for value in (5.0, 7.0):
        state, values = stepper.step(before := state, torch.tensor([value], dtype=torch.float64))
    unknown = torch.full((1, 2), torch.nan), torch.full((1, 3, 1), torch.nan)
    told, same = stepper.step(before, torch.tensor([7.0], dtype=torch.float64), *unknown)
    torch.testing.assert_close(told.memory, state.memory, rtol=0, atol=0)
    torch.testing.assert_close(same, values, rtol=0, atol=0)


@torch.inference_mode()
@pytest.mark.parametrize("transform", ["none", "log"])
@pytest.mark.parametrize("value", [1e300, -1e300, 1e-300, 0.0])
def test_extreme_values_warn_of_nothing(transform: str, value: float) -> None:
    """Overflows are what the caller looks for in the numbers; a warning would be an error."""
    forecaster = loud(spec_of(input_size=2, lags=2, transform=transform), 0)
    stepper, state = Stepper(forecaster), forecaster.initial_state(1)
    for each in (1.0, 2.0, value):
        before, y = state, torch.tensor([each], dtype=torch.float64)
        state, values = stepper.step(state, y)
    _, wanted = forecaster.step(before, y)
    assert torch.equal(values.isfinite().all(), wanted.isfinite().all())
