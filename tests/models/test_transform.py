"""Into the network's units and back."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.transform import to_data, to_forecast, to_network
from tests.models.histories import spec_of

floors = st.floats(1e-6, 1e6)
numbers = st.floats(-1e15, 1e15)


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("transform", ["none", "log"])
@given(y=st.lists(numbers, min_size=1, max_size=8), floor=floors)
def test_there_and_back_is_the_value_itself(transform: str, y: list[float], floor: float) -> None:
    spec = spec_of(transform=transform, log_floor=floor)
    back = to_data(to_network(tensor(*y), spec), spec)
    torch.testing.assert_close(back, tensor(*y), rtol=1e-12, atol=1e-12 * floor)


@given(numbers, numbers, floors)
def test_the_order_of_values_is_kept(a: float, b: float, floor: float) -> None:
    spec = spec_of(transform="log", log_floor=floor)
    low, high = sorted((a, b))
    x = to_network(tensor(low, high), spec)
    assert x[0] <= x[1]
    y = to_data(x, spec)
    assert y[0] <= y[1]


def test_far_above_the_floor_it_is_the_logarithm_and_at_zero_a_line() -> None:
    spec = spec_of(transform="log", log_floor=0.01)
    assert float(to_network(tensor(100.0), spec)) == pytest.approx(math.log(100 / 0.01), rel=1e-8)
    assert float(to_network(tensor(0.0), spec)) == 0.0
    assert float(to_network(tensor(1e-5), spec)) == pytest.approx(1e-5 / 0.02, rel=1e-6)


@given(numbers, floors)
def test_it_is_odd(y: float, floor: float) -> None:
    spec = spec_of(transform="log", log_floor=floor)
    x = to_network(tensor(y, -y), spec)
    assert float(x[0]) == -float(x[1])


@pytest.mark.parametrize("transform", ["none", "log"])
def test_what_was_not_observed_stays_so(transform: str) -> None:
    spec = spec_of(transform=transform)
    assert to_network(tensor(float("nan")), spec).isnan().all()
    assert to_data(tensor(float("nan")), spec).isnan().all()


def test_no_output_of_the_network_overflows() -> None:
    spec = spec_of(transform="log", log_floor=1.0)
    assert to_data(tensor(1e30, -1e30), spec).isfinite().all()


@pytest.mark.parametrize("transform", ["none", "log"])
@given(x=st.lists(st.floats(-50.0, 50.0), min_size=1, max_size=8))
def test_what_never_was_negative_is_not_forecast_to_be(transform: str, x: list[float]) -> None:
    spec = spec_of(transform=transform, nonnegative=True)
    free = to_data(tensor(*x), spec)
    torch.testing.assert_close(to_forecast(tensor(*x), spec), free.clamp_min(0.0), rtol=0, atol=0)
    anything = spec_of(transform=transform)
    torch.testing.assert_close(to_forecast(tensor(*x), anything), free, rtol=0, atol=0)


def test_a_forecast_of_nothing_stays_nothing() -> None:
    assert to_forecast(tensor(float("nan")), spec_of(nonnegative=True)).isnan().all()
