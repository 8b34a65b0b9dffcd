"""The Elman cell (Elman 1990), the ungated contrast that LSTM and GRU were invented against.

Its gradient over k steps is a product of k matrices U^T diag(1 - h^2), which vanishes or explodes
(Bengio, Simard & Frasconi 1994); a gate is a path on which it need not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Parameters:
    """One layer's parameters: W (H, D), U (H, H) and b (H,)."""

    W: Tensor
    U: Tensor
    b: Tensor


def parameters(kernel: nn.RNN, layer: int = 0) -> Parameters:
    """The equation's parameters of one layer of the fused kernel, whose two biases only add."""
    return Parameters(
        getattr(kernel, f"weight_ih_l{layer}"),
        getattr(kernel, f"weight_hh_l{layer}"),
        getattr(kernel, f"bias_ih_l{layer}") + getattr(kernel, f"bias_hh_l{layer}"),
    )


def step(p: Parameters, x: Tensor, h: Tensor) -> Tensor:
    """One step: input x (n, D), the state before h (n, H) -> the state after."""
    return torch.tanh(x @ p.W.T + h @ p.U.T + p.b)


def equation_parameters(inputs: int, hidden: int) -> int:
    """Numbers in one layer as the equation counts them: one bias."""
    return hidden * inputs + hidden * hidden + hidden
