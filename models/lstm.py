"""The LSTM cell as its equations, and where the fused kernel keeps each of their parameters.

Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000.
`torch.nn.LSTM` is the same cell with two biases a gate, b_ih and b_hh, that only ever appear as
their sum: the redundant one adds 4 x hidden parameters a layer and no capacity.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Parameters:
    """One layer: W (H, D), U (H, H) and b (H,) of the gates i, f, o and of the candidate c."""

    W_i: Tensor
    W_f: Tensor
    W_o: Tensor
    W_c: Tensor
    U_i: Tensor
    U_f: Tensor
    U_o: Tensor
    U_c: Tensor
    b_i: Tensor
    b_f: Tensor
    b_o: Tensor
    b_c: Tensor


def parameters(kernel: nn.LSTM, layer: int = 0) -> Parameters:
    """The equations' parameters of a layer of the fused kernel, which stacks i, f, c, o."""
    W_i, W_f, W_c, W_o = getattr(kernel, f"weight_ih_l{layer}").chunk(4)
    U_i, U_f, U_c, U_o = getattr(kernel, f"weight_hh_l{layer}").chunk(4)
    bias = getattr(kernel, f"bias_ih_l{layer}") + getattr(kernel, f"bias_hh_l{layer}")
    b_i, b_f, b_c, b_o = bias.chunk(4)
    return Parameters(W_i, W_f, W_o, W_c, U_i, U_f, U_o, U_c, b_i, b_f, b_o, b_c)


def step(p: Parameters, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """One step: input x (n, D), the state before h, c (n, H) -> the state after."""
    i = torch.sigmoid(x @ p.W_i.T + h @ p.U_i.T + p.b_i)
    f = torch.sigmoid(x @ p.W_f.T + h @ p.U_f.T + p.b_f)
    o = torch.sigmoid(x @ p.W_o.T + h @ p.U_o.T + p.b_o)
    c = f * c + i * torch.tanh(x @ p.W_c.T + h @ p.U_c.T + p.b_c)
    h = o * torch.tanh(c)
    return h, c


def equation_parameters(inputs: int, hidden: int) -> int:
    """Numbers in one layer as the equations count them: one bias a gate."""
    return 4 * (hidden * inputs + hidden * hidden + hidden)
