"""Least squares from moments: errors without the data, and lines drawn to a map."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from training.ridge import Trust, moments_of

_RANDOM = torch.Generator().manual_seed(5)
WINDOWS = torch.randn(400, 4, dtype=torch.float64, generator=_RANDOM)
MAP = torch.tensor([[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]], dtype=torch.float64)
TRUE = torch.tensor([[0.5, 0.0, 0.0, 0.5], [0.0, -0.3, 0.9, 0.0]], dtype=torch.float64)
FOLLOWED = WINDOWS @ TRUE.T + 0.7
ONES = torch.ones(400, dtype=torch.float64)


def test_errors_come_from_moments_alone() -> None:
    found = moments_of(
        [(WINDOWS[:100], FOLLOWED[:100], ONES[:100]), (WINDOWS[100:], FOLLOWED[100:], ONES[100:])]
    )
    assert found is not None
    maps = torch.stack([MAP, TRUE, torch.zeros_like(MAP)])
    expected = [(FOLLOWED - WINDOWS @ each.T).square().mean() for each in maps]
    np.testing.assert_allclose(found.errors(maps), expected, rtol=1e-9)


def test_targets_that_are_missing_are_left_out() -> None:
    holed = FOLLOWED.clone()
    holed[torch.rand(holed.shape, generator=_RANDOM) < 0.3] = torch.nan
    found = moments_of([(WINDOWS, holed, ONES)])
    assert found is not None
    line = found.line(MAP, stretches=1e6, trust=Trust(1e-3, 1.0))
    np.testing.assert_allclose(line.weight, TRUE, atol=0.15)


def test_an_origin_counts_by_the_square_of_its_weight() -> None:
    twice = torch.cat([WINDOWS, WINDOWS[:50]]), torch.cat([FOLLOWED, FOLLOWED[:50]])
    weights = ONES.clone()
    weights[:50] = 2**0.5
    one, other = (
        moments_of([(*twice, torch.ones(450, dtype=torch.float64))]),
        moments_of([(WINDOWS, FOLLOWED, weights)]),
    )
    assert one is not None
    assert other is not None
    for field in ("gram", "moment", "square"):
        np.testing.assert_allclose(getattr(one, field), getattr(other, field), rtol=1e-12)


def test_no_windows_have_no_moments() -> None:
    assert moments_of([]) is None
    assert moments_of([(WINDOWS[:0], FOLLOWED[:0], ONES[:0])]) is None


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_the_share_lies_between_the_map_and_the_regression(share: float) -> None:
    found = moments_of([(WINDOWS, FOLLOWED, ONES)])
    assert found is not None
    line = found.line(MAP, stretches=1e9, trust=Trust(0.25, share))
    np.testing.assert_allclose(line.weight, MAP + share * (TRUE - MAP), atol=1e-5)
    np.testing.assert_allclose(line.bias, share * 0.7, atol=1e-5)


def test_the_less_there_is_to_see_the_nearer_the_line_stays_to_the_map() -> None:
    found = moments_of([(WINDOWS, FOLLOWED, ONES)])
    assert found is not None
    far = [
        float((found.line(MAP, stretches, Trust(0.25, 1.0)).weight - MAP).abs().max())
        for stretches in (1e-6, 1.0, 1e3)
    ]
    assert far[0] < 1e-3
    assert far[0] < far[1] < far[2]
