"""The store as the engine uses it: appends and checkpoints in one thread, rebuilding in another.

One writer, because SQLite has one and because a group that waits for the one before it grows.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

import numpy as np
import structlog
import torch

from service.slots import Loaded
from service.streams.checkpoint import checkpoint_of, pack
from service.streams.feeds import Event
from service.streams.history import Past
from service.streams.rebuild import Rebuilt, Unloadable, rebuild
from service.streams.resident import Resident
from service.streams.stamps import clock_of, numbers_of
from store.append import Append, append
from store.checkpoints import Checkpoint, save_checkpoints
from store.database import Database
from store.errors import StoreError
from store.log import stored
from store.streams import Key, sample_streams

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger()


class Keeper:
    """Speaks to the store for the event loop. Made, used and closed on one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = ThreadPoolExecutor(1, "store")
        self._rebuilder = ThreadPoolExecutor(1, "rebuild", _one_torch_thread)
        self._scribe = self._writer  # SQLite has one writer; on a server nobody need wait for it
        if database.dialect == "postgresql":
            self._scribe = ThreadPoolExecutor(1, "scores")
        self._mover = ThreadPoolExecutor(1, "move", _patient)
        self._last = ThreadPoolExecutor(1, "shadow", _patient)
        self._one_past = asyncio.Lock()

    async def append(self, appends: Sequence[Append], received: int) -> frozenset[int]:
        """`store.log.append`. Raises StoreError."""
        return await self._write(append, self._database, appends, received)

    async def stored(
        self, pairs: Sequence[tuple[int, int]]
    ) -> dict[tuple[int, int], tuple[float | None, str | None, int]]:
        """`store.log.stored`. Raises StoreError."""
        return await self.read(stored, pairs)

    async def rebuild(self, loaded: Loaded, keys: Sequence[Key]) -> dict[Key, Rebuilt | Unloadable]:
        """`service.streams.rebuild.rebuild`. Raises StoreError."""
        return await self.aside(rebuild, self._database, loaded, keys)

    async def ahead(self, loaded: Loaded, keys: Sequence[Key]) -> None:
        """Rebuild streams for a version that does not serve yet, for the checkpoints alone, in a
        thread that any other goes before. Raises StoreError."""
        loop = asyncio.get_running_loop()
        work = partial(rebuild, self._database, loaded, keys, keep=True)
        await loop.run_in_executor(self._mover, work)

    def past(self, loaded: Loaded, key: Key, seq: int) -> Past:
        """A stream's log to go through once more, from a place in it on."""
        return Past(self._database, loaded, key, seq)

    async def events(self, past: Past, most: int) -> list[Event]:
        """`Past.events`. Raises StoreError.

        One waits at a time, so that a crowd which comes back keeps no stream from being rebuilt.
        """
        async with self._one_past:
            return await self.aside(past.events, most)

    async def whenever(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """work(*args, **named) in a thread that any other goes before, and nobody waits for."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._last, lambda: work(*args, **named))

    async def sample(self, task: str, count: int) -> dict[int, Key]:
        """`store.streams.sample_streams`, in that thread. Raises StoreError."""

        def reading() -> dict[int, Key]:
            with self._database.reading() as connection:
                return sample_streams(connection, task, count)

        return await self.whenever(reading)

    async def read(self, work: Callable[..., T], *args: object, **named: object) -> T:
        """work(connection, …) over one snapshot, between appends. Raises StoreError."""

        def reading() -> T:
            with self._database.reading() as connection:
                return work(connection, *args, **named)

        return await self._write(reading)

    async def change(self, work: Callable[..., T], *args: object, **named: object) -> T:
        """work(connection, *args, **named) in a transaction of its own. Raises StoreError."""

        def writing() -> T:
            with self._database.writing() as connection:
                return work(connection, *args, **named)

        return await self._write(writing)

    async def note(self, work: Callable[..., T], *args: object) -> T:
        """`change` for what may be lost in a crash: no append waits for it on PostgreSQL."""

        def writing() -> T:
            with self._database.writing() as connection:
                if self._database.dialect == "postgresql":
                    connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                return work(connection, *args)

        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._scribe, writing)

    async def aside(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """work(*args, **named) in the thread that rebuilds."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._rebuilder, lambda: work(*args, **named))

    async def keep(self, streams: Sequence[Resident]) -> None:
        """Save checkpoints of streams that have gone on since their last; a failure is logged.

        A checkpoint is a cache: without it a rebuild only takes longer.
        """
        going = [each for each in streams if each.head.ds is not None and _unsaved(each)]
        if not going:
            return
        keep = {each.id: _oldest_needed(each) for each in going}
        checkpoints = _checkpoints(going)
        for each in going:
            each.saved = each.head.seq
        try:
            await self._write(save_checkpoints, self._database, checkpoints, keep=keep)
        except StoreError as error:
            log.warning("checkpoints not saved", streams=len(going), reason=error.reason)

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.to_thread(self._last.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._mover.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._rebuilder.shutdown, cancel_futures=True)
        await asyncio.to_thread(self._scribe.shutdown)
        await asyncio.to_thread(self._writer.shutdown)

    async def _write(self, work: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, lambda: work(*args, **named))


def _unsaved(stream: Resident) -> bool:
    return stream.head.seq > stream.saved


def _checkpoints(streams: Sequence[Resident]) -> list[Checkpoint]:
    by_version: dict[Loaded, list[Resident]] = {}
    for stream in streams:
        by_version.setdefault(stream.loaded, []).append(stream)
    checkpoints: list[Checkpoint] = []
    for loaded, its in by_version.items():
        states = its[0].arena.gather([each.row for each in its])
        checkpoints += [
            checkpoint_of(each.id, loaded, each.options, each.head, state)
            for each, state in zip(its, pack(states), strict=True)
        ]
    return checkpoints


def _oldest_needed(stream: Resident) -> int:
    """The ds down to which a late observation may make a rebuild go back."""
    head, timeline = stream.head, stream.loaded.spec.timeline
    if not stream.options.rewind:
        return head.ds or 0
    back = max(head.steps - 1 - stream.options.rewind, 0)
    at = timeline.at(clock_of(timeline, [head.start]), np.array([back]))
    return int(numbers_of(at)[0])


def _one_torch_thread() -> None:
    torch.set_num_threads(1)


def _patient() -> None:
    """One torch thread, and of processors what others leave: on Linux a thread has its own rank."""
    torch.set_num_threads(1)
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
