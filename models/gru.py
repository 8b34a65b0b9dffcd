"""The GRU cell as its equations, and where the fused kernel keeps each of their parameters.

Cho et al. 2014, with the reset gate after the recurrent product so that the products of a step are
one matrix multiplication. `torch.nn.GRU` differs in two places, both held by a test. Its update
gate is 1 - z (it weighs the old state, the equation here the new one), which the mapping undoes by
negating that gate's parameters. Its candidate has a second bias inside the reset,
r * (U_h h' + b_hh), which no sum can absorb: the equations below carry it as d_h; zero, it is the
textbook's cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Parameters:
    """One layer's parameters: W (H, D), U (H, H) and b (H,) for the gates z, r and the candidate h.

    d_h: (H,) is torch's bias inside the reset.
    """

    W_z: Tensor
    W_r: Tensor
    W_h: Tensor
    U_z: Tensor
    U_r: Tensor
    U_h: Tensor
    b_z: Tensor
    b_r: Tensor
    b_h: Tensor
    d_h: Tensor


def parameters(kernel: nn.GRU, layer: int = 0) -> Parameters:
    """The equations' parameters of a layer of the fused kernel, which stacks r, 1 - z, h."""
    W_r, W_z, W_h = getattr(kernel, f"weight_ih_l{layer}").chunk(3)
    U_r, U_z, U_h = getattr(kernel, f"weight_hh_l{layer}").chunk(3)
    b_r, b_z, b_h = getattr(kernel, f"bias_ih_l{layer}").chunk(3)
    d_r, d_z, d_h = getattr(kernel, f"bias_hh_l{layer}").chunk(3)
    # 1 - sigmoid(a) is sigmoid(-a)
    return Parameters(-W_z, W_r, W_h, -U_z, U_r, U_h, -(b_z + d_z), b_r + d_r, b_h, d_h)


def step(p: Parameters, x: Tensor, h: Tensor) -> Tensor:
    """One step: input x (n, D), the state before h (n, H) -> the state after."""
    z = torch.sigmoid(x @ p.W_z.T + h @ p.U_z.T + p.b_z)
    r = torch.sigmoid(x @ p.W_r.T + h @ p.U_r.T + p.b_r)
    return (1 - z) * h + z * torch.tanh(x @ p.W_h.T + r * (h @ p.U_h.T + p.d_h) + p.b_h)


def equation_parameters(inputs: int, hidden: int) -> int:
    """Numbers in one layer as the equations count them: one bias a gate."""
    return 3 * (hidden * inputs + hidden * hidden + hidden)
