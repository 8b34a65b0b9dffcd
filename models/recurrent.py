"""The fused kernel behind one face, whatever the cell: inputs and memory in, both out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import elman, gru, lstm
from .spec import Cell

_KERNEL: dict[Cell, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "elman": nn.RNN,
}
_EQUATION_PARAMETERS = {
    "lstm": lstm.equation_parameters,
    "gru": gru.equation_parameters,
    "elman": elman.equation_parameters,
}


class Recurrent(nn.Module):
    """Stacked recurrent layers over `torch.nn`'s fused kernel.

    Memory is one tensor (n, slots, hidden_size): the hidden state of each layer and, for an LSTM,
    then the cell state of each; so a stream's memory is saved, moved and compared as one thing.
    """

    def __init__(self, cell: Cell, inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.layers = layers
        self.slots = 2 * layers if cell == "lstm" else layers
        self.kernel = _KERNEL[cell](inputs, hidden, layers, batch_first=True)

    def forward(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """x (n, T, D), memory (n, slots, H) -> outputs (n, T, H) of the top layer, memory after."""
        before = memory.transpose(0, 1).contiguous()  # (slots, n, H), the kernel's layout
        if isinstance(self.kernel, nn.LSTM):
            outputs, (hidden, cell) = self.kernel(x, (before[: self.layers], before[self.layers :]))
            after = torch.cat([hidden, cell])  # (slots, n, H)
        else:
            outputs, after = self.kernel(x, before)
        return outputs, after.transpose(0, 1)


def equation_parameters(cell: Cell, inputs: int, hidden: int, layers: int) -> int:
    """Numbers in the stacked cells as the textbook's equations count them: one bias a gate."""
    count = _EQUATION_PARAMETERS[cell]
    return count(inputs, hidden) + (layers - 1) * count(hidden, hidden)
