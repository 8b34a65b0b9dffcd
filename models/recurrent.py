"""The fused kernel behind one face, whatever the cell: inputs and memory in, both out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import cast

import torch
from torch import Tensor, nn

from . import elman, gru, lstm
from .spec import Recurrence, Spec

_KERNEL: dict[Recurrence, type[nn.LSTM] | type[nn.GRU] | type[nn.RNN]] = {
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

    def __init__(self, cell: Recurrence, inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.cell = cell
        self.layers = layers
        self.slots = 2 * layers if cell == "lstm" else layers
        self.tops = [layers - 1]  # the slots of the hidden states that are the outputs
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
        for layer, weights in enumerate(self.weights()):
            if self.cell == "lstm":
                held = (slots[layer], slots[self.layers + layer])
                x, slots[self.layers + layer] = torch.lstm_cell(x, held, *weights)
            elif self.cell == "gru":
                x = torch.gru_cell(x, slots[layer], *weights)
            else:
                x = torch.rnn_tanh_cell(x, slots[layer], *weights)
            slots[layer] = x
        return x, torch.stack(slots, 1)

    def weights(self) -> list[list[Tensor]]:
        """Of each layer, those of the inputs, of the state before, and both biases."""
        # the list that the kernel hands to torch, four a layer
        flat = cast("list[Tensor]", self.kernel._flat_weights)
        return [flat[4 * layer : 4 * layer + 4] for layer in range(self.layers)]

    def top(self, memory: Tensor) -> Tensor:
        """memory (n, slots, H) -> (n, H), the hidden state of the top layer."""
        return memory[:, self.tops[0]]


class SideBySide(nn.Module):
    """Recurrent layers of several cells over the same inputs, which know nothing of each other.

    Seen from outside they are one `Recurrent`: their memories lie one behind the other in the
    slots, their outputs one behind the other in the units.
    """

    def __init__(self, cells: Sequence[Recurrence], inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(Recurrent(cell, inputs, hidden, layers) for cell in cells)
        self.each = [cast("Recurrent", member) for member in self.members]
        self._slots = [member.slots for member in self.each]
        self.slots = sum(self._slots)
        before = accumulate(self._slots, initial=0)
        self.tops = [slot + member.tops[0] for slot, member in zip(before, self.each, strict=False)]

    def forward(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """x (n, T, D), memory (n, slots, H) -> outputs (n, T, members * H), memory after."""
        parts = zip(self.each, torch.split(memory, self._slots, 1), strict=True)
        return _joined([member(x, part) for member, part in parts])

    def step(self, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """One step: x (n, D), memory (n, slots, H) -> output (n, members * H), memory after."""
        parts = zip(self.each, torch.split(memory, self._slots, 1), strict=True)
        return _joined([member.step(x, part) for member, part in parts])

    def top(self, memory: Tensor) -> Tensor:
        """memory (n, slots, H) -> (n, members * H), the hidden states of the top layers."""
        return torch.cat([memory[:, slot] for slot in self.tops], -1)


def members(layers: Recurrent | SideBySide) -> list[Recurrent]:
    """The recurrent layers that know nothing of each other: an ensemble's, or one cell's own."""
    return [layers] if isinstance(layers, Recurrent) else layers.each


def recurrent(spec: Spec, inputs: int) -> Recurrent | SideBySide:
    """The recurrent layers of a spec, with fresh weights; inputs: numbers a step."""
    if spec.cell == "ensemble":
        return SideBySide(spec.members, inputs, spec.hidden_size, spec.layers)
    return Recurrent(spec.cell, inputs, spec.hidden_size, spec.layers)


def _joined(pairs: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    outputs, memories = zip(*pairs, strict=True)
    return torch.cat(outputs, -1), torch.cat(memories, 1)


def equation_parameters(cell: Recurrence, inputs: int, hidden: int, layers: int) -> int:
    """Numbers in the stacked cells as the textbook's equations count them: one bias a gate."""
    count = _EQUATION_PARAMETERS[cell]
    return count(inputs, hidden) + (layers - 1) * count(hidden, hidden)
