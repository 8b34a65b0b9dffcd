"""The fused kernel behind one face, whatever the cell: inputs and memory in, both out."""

from __future__ import annotations

from typing import cast

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
        self.cell = cell
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

    def step(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """One step: x (n, D), memory (n, slots, H) -> output (n, H), memory after.

        `forward` at T = 1, without the setup of the fused kernel, which costs more than the step.
        """
        slots = list(memory.unbind(1))
        # the list that the kernel hands to torch, four a layer
        flat = cast("list[Tensor]", self.kernel._flat_weights)
        for layer in range(self.layers):
            weights = flat[4 * layer : 4 * layer + 4]
            if self.cell == "lstm":
                held = (slots[layer], slots[self.layers + layer])
                x, slots[self.layers + layer] = torch.lstm_cell(x, held, *weights)
            elif self.cell == "gru":
                x = torch.gru_cell(x, slots[layer], *weights)
            else:
                x = torch.rnn_tanh_cell(x, slots[layer], *weights)
            slots[layer] = x
        return x, torch.stack(slots, 1)


def equation_parameters(cell: Cell, inputs: int, hidden: int, layers: int) -> int:
    """Numbers in the stacked cells as the textbook's equations count them: one bias a gate."""
    count = _EQUATION_PARAMETERS[cell]
    return count(inputs, hidden) + (layers - 1) * count(hidden, hidden)
