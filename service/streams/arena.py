"""The states of one version's streams: a row each, of tensors made once."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from models.forecaster import Forecaster
from models.state import State
from service.live.pending import Pending


class Arena:
    """Rows of states. Memory is touched, and so taken, only by the rows in use.

    A row's owner is whoever took it; nothing here is shared between two rows.

    pending: the forecasts of these streams that wait for their truth.
    """

    def __init__(self, forecaster: Forecaster, capacity: int) -> None:
        spec, slots = forecaster.spec, forecaster.recurrent.slots
        self._states = State(
            torch.empty(capacity, spec.input_size, dtype=torch.float64),
            torch.empty(capacity, slots, spec.hidden_size),
            torch.empty(capacity, len(spec.stat_exog)),
        )
        self.pending = Pending(spec, capacity)
        self._capacity = capacity
        self._used = 0
        self._free: list[int] = []

    def __len__(self) -> int:
        """Rows that are taken."""
        return self._used - len(self._free)

    def take(self) -> int:
        """A row of one's own. Raises IndexError where none is left."""
        if self._free:
            return self._free.pop()
        if self._used == self._capacity:
            raise IndexError("no row is left")
        self._used += 1
        return self._used - 1

    def give_back(self, row: int) -> None:
        """Let others have a row."""
        self._free.append(row)

    def gather(self, rows: Sequence[int]) -> State:
        """The states of `rows`, in that order; not to be written to."""
        if len(rows) == 1:
            return self._states.take(slice(rows[0], rows[0] + 1))
        return self._states.take(torch.tensor(rows))

    def scatter(self, rows: Sequence[int], states: State) -> None:
        """Put states (n rows) in the place of those of `rows`, which are distinct."""
        index = torch.tensor(rows)
        self._states.ring.index_copy_(0, index, states.ring)
        self._states.memory.index_copy_(0, index, states.memory)
        if states.stat.shape[1]:
            # a copy, because of one row `gather` hands out the arena's own memory
            self._states.stat.index_copy_(0, index, states.stat.clone())
