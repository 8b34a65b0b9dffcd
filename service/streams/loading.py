"""Streams on their way to memory, and the jobs that wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

import structlog

from service.problems import ProblemError, problem
from service.slots import Loaded
from service.streams import refusals
from service.streams.jobs import Job
from service.streams.keeper import Keeper
from service.streams.rebuild import Rebuilt, Unloadable
from store.errors import StoreError
from store.streams import Key

_AT_ONCE = 256
"""Streams that are rebuilt together."""

Found = Rebuilt | Unloadable | None | ProblemError
Arrived = Callable[[Key, Loaded, Found, Sequence[Job]], None]
"""Called with a stream that was looked for, what came of it (None: there is no such stream), and
the jobs that waited for it."""

log = structlog.get_logger()


class Loading:
    """Looks for streams in the store, many at a time, and keeps each one's jobs in order."""

    def __init__(self, keeper: Keeper, arrived: Arrived) -> None:
        self._keeper = keeper
        self._arrived = arrived
        self._parked: dict[Key, list[Job]] = {}
        self._wanted: dict[Key, Loaded] = {}
        self._more = asyncio.Event()
        self._running = asyncio.create_task(self._run())

    @property
    def busy(self) -> bool:
        """Whether any job waits for a stream."""
        return bool(self._parked)

    def waits_for(self, key: Key) -> bool:
        """Whether jobs wait for this stream already: later ones must wait behind them."""
        return key in self._parked

    def park(self, job: Job, loaded: Loaded) -> None:
        """Let a job wait until its stream is in memory for a version."""
        self._parked.setdefault(job.key, []).append(job)
        if len(self._parked[job.key]) == 1:
            self._wanted[job.key] = loaded
            self._more.set()

    def parked(self) -> Iterator[Job]:
        """The jobs that wait."""
        return (job for jobs in self._parked.values() for job in jobs)

    async def close(self) -> None:
        """Stop looking."""
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._more.wait()
            loaded, keys = self._next()
            found = await self._look(loaded, keys)
            for key in keys:
                self._arrived(key, loaded, found[key], self._parked.pop(key))

    async def _look(self, loaded: Loaded, keys: Sequence[Key]) -> dict[Key, Found]:
        try:
            rebuilt = await self._keeper.rebuild(loaded, keys)
            return {key: rebuilt.get(key) for key in keys}
        except StoreError as error:
            return dict.fromkeys(keys, refusals.not_kept(error.reason))
        except Exception:
            if len(keys) == 1:
                log.exception("stream not rebuilt", task=loaded.task)
                return {keys[0]: problem(500, "internal-error")}
        # one stream's trouble is not its neighbours'
        return {key: (await self._look(loaded, [key]))[key] for key in keys}

    def _next(self) -> tuple[Loaded, list[Key]]:
        """Streams that are wanted for one version, the longest waiting first."""
        loaded = next(iter(self._wanted.values()))
        keys = [key for key, version in self._wanted.items() if version is loaded][:_AT_ONCE]
        for key in keys:
            del self._wanted[key]
        if not self._wanted:
            self._more.clear()
        return loaded, keys
