"""What has been scored and not been written to the store yet; and what was since the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.live.measure import Measured
from store.drift import Place
from store.scores import HOUR, Scores

K = TypeVar("K")

_MOST_KEPT = 10_000
"""Hours, versions and leads together that wait while the store is down: some 2 MB."""

Sums = NDArray[np.float64]
"""(6,): how many, then the five sums in the order of `Measured`."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Sums to be written. blocks: by task, version, lead and block of time the number of scores of
    a version that serves, and the sum of their `log_loss`."""

    sums: Mapping[tuple[str, str, int, int], Sums]
    blocks: Mapping[tuple[str, str, int, int], tuple[int, float]]

    @property
    def scores(self) -> list[Scores]:
        """The rows to be added to the store's."""
        return [
            Scores(*key, int(sums[0]), *sums[1:4].tolist(), *map(_known, sums[4:].tolist()))
            for key, sums in self.sums.items()
        ]


@dataclass(slots=True)
class Tally:
    """Grows with every score, and is emptied every few seconds. Only for one thread.

    totals: all since the start.
    """

    totals: dict[Place, Sums] = field(default_factory=dict)
    _sums: dict[tuple[str, str, int, int], Sums] = field(default_factory=dict)
    _blocks: dict[tuple[str, str, int, int], tuple[int, float]] = field(default_factory=dict)

    def add(
        self, place: Place, measured: Measured, now: int, blocks: NDArray[np.int64] | None
    ) -> None:
        """Count scores of one lead. now: milliseconds since 1970. blocks: (n,) the block of time
        that each truth lies in, None for a version that does not serve."""
        sums = np.array([len(measured.scaled_error), *(each.sum() for each in measured)])
        _plus(self.totals, place, sums)
        _plus(self._sums, (*place, now // HOUR * HOUR), sums)
        if blocks is None:
            return
        losses = measured.log_loss
        one = (blocks == blocks[0]).all()
        for block in blocks[:1].tolist() if one else np.unique(blocks).tolist():
            its = losses[blocks == block]
            self._feed((*place, block), len(its), float(its.sum()))

    def take(self) -> Batch:
        """All that waits to be written, which from now on is the caller's."""
        batch = Batch(self._sums, self._blocks)
        self._sums, self._blocks = {}, {}
        return batch

    def put_back(self, batch: Batch) -> None:
        """What could not be written waits again; the oldest goes where it is too much."""
        newer = self.take()
        self._sums, self._blocks = dict(batch.sums), dict(batch.blocks)
        for key, sums in newer.sums.items():
            _plus(self._sums, key, sums)
        for key, fed in newer.blocks.items():
            self._feed(key, *fed)
        for kept in (self._sums, self._blocks):
            for key in list(kept)[: max(len(kept) - _MOST_KEPT, 0)]:
                del kept[key]

    def _feed(self, key: tuple[str, str, int, int], count: int, total: float) -> None:
        known = self._blocks.get(key, (0, 0.0))
        self._blocks[key] = known[0] + count, known[1] + total


def _plus(into: dict[K, Sums], key: K, sums: Sums) -> None:
    into[key] = into[key] + sums if key in into else sums


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
