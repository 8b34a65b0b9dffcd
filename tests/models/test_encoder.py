"""The scale in which the network sees a window."""

from __future__ import annotations

import pytest
import torch

from models.encoder import Encoder
from tests.models.histories import spec_of


def scale(window: list[float], **changes: object) -> float:
    """Of a window of eight values, in network units."""
    encoder = Encoder(spec_of(**changes))
    return float(encoder.scaled(torch.tensor([window], dtype=torch.float64)).scale)


@pytest.mark.parametrize(
    ("window", "least", "expected"),
    [
        ([0.0] * 8, 0.0, 1e-8),  # nothing to scale by
        ([0.0] * 8, 1.0, 1.0),
        ([0.0] * 7 + [1.0], 1.0, 1.0),
        ([0.0, 2.0] * 4, 0.5, 1.0),  # it moves by more than a step
        ([5000.0] * 8, 1.0, 5.0),  # and so does its level
    ],
)
def test_a_window_is_scaled_by_no_less_than_a_step_between_two_values(
    window: list[float], least: float, expected: float
) -> None:
    assert scale(window, resolution=least) == pytest.approx(expected)


def test_in_the_logarithm_a_step_between_two_values_says_nothing() -> None:
    assert scale([3.0] * 8, transform="log", resolution=1.0) == pytest.approx(1e-3)
