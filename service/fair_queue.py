"""Which forecasts run next, and together: pure bookkeeping, no clock and no thread.

A request is cut into pieces of series of similar length. Pieces wait in the order of fair queueing
(Demers, Keshav & Shenker 1989): a piece's tag is the virtual time at which its request came plus
the work of the request's pieces before it, and virtual time goes on by the work done, divided by
the requests that wait. So a request of one series passes the tail of one with thousands, and each
still gets its share. A batch is the first piece and others of the same version and length that
follow it.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Owner = TypeVar("Owner", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Piece(Generic[Owner]):
    """Part of a request. rows: the places of its series; longest: steps of the longest of them."""

    owner: Owner
    rows: tuple[int, ...]
    longest: int

    @property
    def points(self) -> int:
        """Steps to run through the forecaster, padding included."""
        return self.longest * len(self.rows)


def cut(owner: Owner, lengths: Sequence[int], most_points: int) -> list[Piece[Owner]]:
    """Pieces of at most `most_points` (or one series), in each of which no series is twice as long
    as another."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    pieces: list[Piece[Owner]] = []
    rows: list[int] = []
    longest = 0
    for row in order:
        full = (len(rows) + 1) * longest > most_points
        if rows and (full or 2 * lengths[row] <= longest):
            pieces.append(Piece(owner, tuple(rows), longest))
            rows = []
        longest = lengths[row] if not rows else longest
        rows.append(row)
    pieces.append(Piece(owner, tuple(rows), longest))
    return pieces


_Entry = tuple[float, int, Piece[Owner]]


@dataclass(slots=True)
class FairQueue(Generic[Owner]):
    """Pieces that wait, by version and length. Owners are told apart by identity or equality."""

    points: int = 0
    """Steps that wait."""
    _now: float = 0.0
    """Virtual time, in steps."""
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _heaps: dict[tuple[Hashable, int], list[_Entry[Owner]]] = field(default_factory=dict)
    _waiting: Counter[Owner] = field(default_factory=Counter)

    def add(self, version: Hashable, pieces: Sequence[Piece[Owner]]) -> None:
        """Let the pieces of one request wait for their turn."""
        tag = self._now
        for piece in pieces:
            heap = self._heaps.setdefault((version, piece.longest.bit_length()), [])
            heapq.heappush(heap, (tag, next(self._numbers), piece))
            tag += piece.points
            self.points += piece.points
            self._waiting[piece.owner] += 1

    def take(self, most_points: int) -> list[Piece[Owner]]:
        """The next batch: pieces of one version, at most `most_points` together, or one piece."""
        if not self._heaps:
            return []
        key = min(self._heaps, key=lambda k: self._heaps[k][0][:2])
        heap = self._heaps[key]
        self._now = max(self._now, heap[0][0])
        requests = len(self._waiting)
        batch: list[Piece[Owner]] = []
        longest = count = 0
        while heap:
            piece = heap[0][2]
            longest, count = max(longest, piece.longest), count + len(piece.rows)
            if batch and longest * count > most_points:
                break
            batch.append(heapq.heappop(heap)[2])
            self._forget(piece)
        if not heap:
            del self._heaps[key]
        self._now += sum(piece.points for piece in batch) / requests
        return batch

    def drop(self, owner: Owner) -> None:
        """Forget the pieces of a request that nobody waits for."""
        for key, heap in list(self._heaps.items()):
            kept = [entry for entry in heap if entry[2].owner != owner]
            for entry in heap:
                if entry[2].owner == owner:
                    self._forget(entry[2])
            if kept:
                heapq.heapify(kept)
                self._heaps[key] = kept
            else:
                del self._heaps[key]

    def _forget(self, piece: Piece[Owner]) -> None:
        self.points -= piece.points
        self._waiting[piece.owner] -= 1
        if not self._waiting[piece.owner]:
            del self._waiting[piece.owner]

    def __len__(self) -> int:
        """Pieces that wait."""
        return sum(map(len, self._heaps.values()))
