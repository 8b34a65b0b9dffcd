"""What a stream carries from one observation to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class State:
    """The states of n streams. A value: advancing makes a new one.

    ring: (n, input_size) float64, the newest values after the spec's transform, oldest first; NaN
        where nothing was observed or the stream is younger than the window.
    memory: (n, slots, hidden_size) float32, the hidden state of every recurrent layer, for an LSTM
        followed by their cell states.
    stat: (n, n_stat) float32, covariates that never change, in their own units.
    """

    ring: Tensor
    memory: Tensor
    stat: Tensor

    def __len__(self) -> int:
        return self.ring.shape[0]

    def take(self, rows: Tensor | slice) -> State:
        """The states at `rows`, an index tensor or a slice, in that order."""
        return State(self.ring[rows], self.memory[rows], self.stat[rows])

    def detach(self) -> State:
        """The same states cut from the graph that made them."""
        return State(self.ring, self.memory.detach(), self.stat)

    @staticmethod
    def concatenate(states: Sequence[State]) -> State:
        """All the streams of `states` in one value, in order."""
        return State(
            torch.cat([state.ring for state in states]),
            torch.cat([state.memory for state in states]),
            torch.cat([state.stat for state in states]),
        )


@dataclass(frozen=True, slots=True)
class Steps:
    """T consecutive steps of n series that have all of them, ready to be replayed or unrolled.

    y: (n, T) float64, the units of the data, NaN where nothing was observed.
    exog: (n, T, exog_size) float32, NaN where unknown.
    """

    y: Tensor
    exog: Tensor

    def __len__(self) -> int:
        return self.y.shape[1]
