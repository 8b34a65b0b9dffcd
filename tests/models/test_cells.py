"""The fused kernels compute what the equations say, in value and in gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models import elman, gru, lstm
from models.recurrent import Recurrent, equation_parameters
from models.spec import Cell

CELLS: tuple[Cell, ...] = ("lstm", "gru", "elman")
BIASES = {"lstm": 4, "gru": 3, "elman": 1}  # gates and candidates, a bias each

shapes = st.fixed_dictionaries(
    {
        "cell": st.sampled_from(CELLS),
        "inputs": st.integers(1, 5),
        "hidden": st.integers(1, 6),
        "layers": st.integers(1, 3),
    }
)


def recurrent_of(seed: int, **shape: Any) -> Recurrent:
    torch.manual_seed(seed)
    recurrent = Recurrent(**shape).double()
    for parameter in recurrent.parameters():
        nn.init.normal_(parameter, std=0.7)
    return recurrent


def by_equations(recurrent: Recurrent, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """What `recurrent` computes, a step of the equations at a time."""
    kernel, layers = recurrent.kernel, recurrent.layers
    hidden = list(memory.unbind(1)[:layers])
    cells = list(memory.unbind(1)[layers:])
    outputs = []
    for below in x.unbind(1):
        for layer in range(layers):
            if isinstance(kernel, nn.LSTM):
                hidden[layer], cells[layer] = lstm.step(
                    lstm.parameters(kernel, layer), below, hidden[layer], cells[layer]
                )
            elif isinstance(kernel, nn.GRU):
                hidden[layer] = gru.step(gru.parameters(kernel, layer), below, hidden[layer])
            else:
                hidden[layer] = elman.step(elman.parameters(kernel, layer), below, hidden[layer])
            below = hidden[layer]  # noqa: PLW2901 - the layer above reads this one
        outputs.append(below)
    return torch.stack(outputs, 1), torch.stack(hidden + cells, 1)


@settings(max_examples=60)
@given(shapes, st.integers(1, 8), st.integers(1, 3), st.integers(0, 2**16))
def test_the_fused_kernel_is_the_equations_in_value_and_gradient(
    shape: dict[str, Any], steps: int, n: int, seed: int
) -> None:
    recurrent = recurrent_of(seed, **shape)
    x = torch.randn(n, steps, shape["inputs"], dtype=torch.float64, requires_grad=True)
    memory = torch.randn(
        n, recurrent.slots, shape["hidden"], dtype=torch.float64, requires_grad=True
    )
    leaves = [x, memory, *recurrent.parameters()]
    fused, stated = recurrent(x, memory), by_equations(recurrent, x, memory)
    weights = [torch.randn_like(part) for part in fused]
    gradients = [
        torch.autograd.grad((result[0] * weights[0]).sum() + (result[1] * weights[1]).sum(), leaves)
        for result in (fused, stated)
    ]
    torch.testing.assert_close(fused, stated, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_and_a_sequence_leave_the_same_memory(cell: Cell) -> None:
    recurrent = recurrent_of(0, cell=cell, inputs=3, hidden=4, layers=2)
    x, memory = torch.randn(2, 9, 3).double(), torch.zeros(2, recurrent.slots, 4).double()
    outputs, whole = recurrent(x, memory)
    for step in range(9):
        output, memory = recurrent(x[:, step : step + 1], memory)
        torch.testing.assert_close(output[:, 0], outputs[:, step])
    torch.testing.assert_close(memory, whole)


def test_the_update_gate_of_the_equations_weighs_the_new_where_torch_weighs_the_old() -> None:
    recurrent = recurrent_of(0, cell="gru", inputs=2, hidden=3, layers=1)
    assert isinstance(recurrent.kernel, nn.GRU)
    with torch.no_grad():
        # torch's z is one: the old state stays
        recurrent.kernel.get_parameter("bias_ih_l0")[3:6] = 1e3
    x, h = torch.randn(4, 2).double(), torch.randn(4, 3).double()
    p = gru.parameters(recurrent.kernel)
    assert (torch.sigmoid(x @ p.W_z.T + h @ p.U_z.T + p.b_z) == 0).all()
    torch.testing.assert_close(gru.step(p, x, h), h)
    outputs, _ = recurrent(x[:, None], h[:, None])
    torch.testing.assert_close(outputs[:, 0], h)


def test_without_the_second_bias_the_gru_is_the_textbook_s() -> None:
    kernel = recurrent_of(0, cell="gru", inputs=2, hidden=3, layers=1).kernel
    assert isinstance(kernel, nn.GRU)
    with torch.no_grad():
        kernel.get_parameter("bias_hh_l0")[6:] = 0.0
    p = gru.parameters(kernel)
    assert not p.d_h.any()
    x, h = torch.randn(4, 2).double(), torch.randn(4, 3).double()
    z = torch.sigmoid(x @ p.W_z.T + h @ p.U_z.T + p.b_z)
    r = torch.sigmoid(x @ p.W_r.T + h @ p.U_r.T + p.b_r)
    textbook = (1 - z) * h + z * torch.tanh(x @ p.W_h.T + r * (h @ p.U_h.T) + p.b_h)
    outputs, _ = kernel(x[:, None], h[None])
    torch.testing.assert_close(outputs[:, 0], textbook)


def test_no_sum_of_biases_absorbs_the_gru_s_second() -> None:
    recurrent = recurrent_of(0, cell="gru", inputs=2, hidden=3, layers=1)
    assert isinstance(recurrent.kernel, nn.GRU)
    x, memory = torch.randn(4, 1, 2).double(), torch.randn(4, 1, 3).double()
    before, _ = recurrent(x, memory)
    with torch.no_grad():  # the same sum, the other way round
        recurrent.kernel.get_parameter("bias_ih_l0")[6:] += 1.0
        recurrent.kernel.get_parameter("bias_hh_l0")[6:] -= 1.0
    after, _ = recurrent(x, memory)
    assert not torch.allclose(before, after)


@given(shapes)
def test_the_equations_have_one_bias_a_gate_and_torch_two(shape: dict[str, Any]) -> None:
    recurrent = Recurrent(**shape)
    held = sum(parameter.numel() for parameter in recurrent.parameters())
    second = BIASES[shape["cell"]] * shape["hidden"] * shape["layers"]
    assert equation_parameters(**shape) == held - second


@settings(max_examples=40)
@given(shapes, st.integers(1, 3), st.integers(0, 2**16))
def test_a_step_is_the_fused_kernel_over_one_step_in_value_and_gradient(
    shape: dict[str, Any], n: int, seed: int
) -> None:
    recurrent = recurrent_of(seed, **shape)
    x = torch.randn(n, shape["inputs"], dtype=torch.float64, requires_grad=True)
    memory = torch.randn(n, recurrent.slots, shape["hidden"], dtype=torch.float64)
    leaves = [x, *recurrent.parameters()]
    output, after = recurrent.step(x, memory)
    outputs, fused = recurrent(x[:, None], memory)
    torch.testing.assert_close((output, after), (outputs[:, 0], fused), rtol=1e-9, atol=1e-9)
    gradients = [
        torch.autograd.grad(each.sum(), leaves, allow_unused=True) for each in (after, fused)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)
