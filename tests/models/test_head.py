"""What the head adds to the linear skip, and what of it the state decides."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.forecaster import new_forecaster
from models.head import Head
from tests.models.histories import loud, spec_of


def mapped(head: Head, h: Tensor, z: Tensor) -> Tensor:
    """What the window adds, (..., horizon, outputs), when the state is `h`."""
    out: Tensor = head(h, z, None)
    without: Tensor = head(h, torch.zeros_like(z), None)
    return out - without


@torch.inference_mode()
@pytest.mark.parametrize("cell", [("gru",), ("ensemble", "lstm", "gru")])
def test_the_state_chooses_the_map_from_the_window_where_that_is_gated(
    cell: tuple[str, ...],
) -> None:
    torch.manual_seed(0)
    z = torch.randn(1, 8)
    for gated in (0, 5):
        head = loud(spec_of(cell=cell[0], members=cell[1:], gated=gated), 0).head
        one, other = torch.randn(2, 1, head.state.in_features).unbind()
        same = torch.allclose(mapped(head, one, z), mapped(head, other, z), atol=1e-6)
        assert same == (gated == 0)


@torch.inference_mode()
def test_each_map_that_the_state_chooses_is_linear_and_the_same_for_all_quantiles() -> None:
    torch.manual_seed(0)
    head = loud(spec_of(gated=5), 0).head
    h, one, other = torch.randn(4), torch.randn(8), torch.randn(8)
    both = mapped(head, h, one) + mapped(head, h, other)
    torch.testing.assert_close(mapped(head, h, one + other), both)
    torch.testing.assert_close(both, both[:, :1].expand_as(both))


@torch.inference_mode()
def test_it_begins_at_the_seasonal_naive_forecast_gated_or_not() -> None:
    torch.manual_seed(0)
    head = new_forecaster(spec_of(gated=5, season=(3,)), 0).head
    z = torch.randn(8)
    for h in torch.randn(2, 4):
        torch.testing.assert_close(mapped(head, h, z)[:, 1], z[-3:])
