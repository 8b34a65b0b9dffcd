"""The streams whose states are in memory: bounded, and the one longest unused goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from service.slots import Loaded
from service.streams.arena import Arena
from service.streams.head import Head, Options
from service.streams.rebuild import Rebuilt
from store.streams import Key

_CROWD = 100_000
"""Rows beyond the capacity, which a batch may exceed: they take no memory before they are used."""


@dataclass(eq=False, slots=True)
class Resident:
    """A stream in memory: a row of its version's arena, and the log's end that the row stands for.

    id: of the stream in the store. saved: the head's seq at the newest checkpoint, 0 for none.
    """

    id: int
    key: Key
    options: Options
    loaded: Loaded
    arena: Arena
    row: int
    head: Head
    saved: int

    @property
    def warming(self) -> bool:
        """Whether the window is not yet filled."""
        return self.head.steps < self.loaded.spec.input_size


class Residents:
    """Streams by key, in the order of use. Only the event loop's thread may touch it."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._streams: OrderedDict[Key, Resident] = OrderedDict()
        self._arenas: dict[Loaded, Arena] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def __contains__(self, stream: Resident) -> bool:
        return self._streams.get(stream.key) is stream

    def __iter__(self) -> Iterator[Resident]:
        return iter(self._streams.values())

    def get(self, key: Key) -> Resident | None:
        """The stream, which counts as a use, or None where it is not in memory."""
        stream = self._streams.get(key)
        if stream is not None:
            self._streams.move_to_end(key)
        return stream

    def _arena(self, loaded: Loaded) -> Arena:
        """The arena of a version, made when first asked for."""
        if loaded not in self._arenas:
            # The crowd's bound is checked after a cycle: until then it may be exceeded.
            self._arenas[loaded] = Arena(loaded.forecaster, self.capacity + _CROWD)
        return self._arenas[loaded]

    def put(self, found: Rebuilt, key: Key, loaded: Loaded) -> None:
        """Keep a stream that was rebuilt for a version, and that must not be there yet."""
        arena = self._arena(loaded)
        row = arena.take()
        arena.scatter([row], found.state)
        self._streams[key] = Resident(
            found.stream.id, key, found.options, loaded, arena, row, found.head, found.saved
        )

    def drop(self, stream: Resident) -> None:
        """Forget a stream, if it still is this one that is kept; its row is free again."""
        if stream in self:
            del self._streams[stream.key]
            stream.arena.give_back(stream.row)
            if not len(stream.arena):
                self._arenas.pop(stream.loaded, None)

    def excess(self) -> list[Resident]:
        """Those longest unused, as many as there are too many."""
        streams = iter(self._streams.values())
        return [next(streams) for _ in range(len(self._streams) - self.capacity)]
