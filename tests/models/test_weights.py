from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.forecaster import Forecaster
from models.weights import pack, unpack
from tests.models.bundles import spec

SPEC = "0" * 64
NAMES = st.text("abc._", min_size=1, max_size=8)
SHAPES = st.lists(st.integers(1, 4), max_size=3)


@st.composite
def tensor_dicts(draw: st.DrawFn) -> dict[str, torch.Tensor]:
    shapes = draw(st.dictionaries(NAMES, SHAPES, min_size=1, max_size=5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@given(tensor_dicts())
def test_packed_tensors_come_back_bit_for_bit(tensors: dict[str, torch.Tensor]) -> None:
    back = unpack(pack(tensors, SPEC), tensors, SPEC)
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


@given(tensor_dicts(), st.data())
def test_whatever_byte_flips_only_a_value_error_comes_out(
    tensors: dict[str, torch.Tensor], data: st.DataObject
) -> None:
    packed = bytearray(pack(tensors, SPEC))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    try:
        back = unpack(bytes(packed), tensors, SPEC)
    except ValueError:
        return
    assert {name: tensor.shape for name, tensor in back.items()} == {
        name: tensor.shape for name, tensor in tensors.items()
    }


def test_a_tensor_that_is_a_view_is_packed_dense() -> None:
    tensors = {"a": torch.arange(6.0).view(2, 3).T}
    assert torch.equal(unpack(pack(tensors, SPEC), tensors, SPEC)["a"], tensors["a"])


def test_weights_of_another_spec_are_refused() -> None:
    tensors = {"a": torch.zeros(2)}
    with pytest.raises(ValueError, match="another spec"):
        unpack(pack(tensors, "1" * 64), tensors, SPEC)


def test_shapes_are_known_without_storage() -> None:
    with torch.device("meta"):
        giant = Forecaster(spec(hidden_size=4096, layers=8)).state_dict()
    assert sum(tensor.numel() for tensor in giant.values()) > 10**9
    with pytest.raises(ValueError, match="missing"):
        unpack(pack({"a": torch.zeros(2)}, SPEC), giant, SPEC)
