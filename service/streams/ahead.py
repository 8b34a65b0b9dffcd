"""Streams brought to a version before it serves, so that none of them waits when it does.

What is made are checkpoints: when the version serves, a stream's first request finds one that is
seconds old, and replays those seconds rather than the version's memory. The version that it leaves
is given one too: coming back to it, after a crash or by a rollback, is then exact and as short.
"""

from __future__ import annotations

import asyncio

import structlog

from service.slots import Loaded
from service.streams.keeper import Keeper
from service.streams.resident import Residents

_AT_ONCE = 32
"""Streams that are replayed together: some 50 ms of a processor that nobody else wants."""
_SECONDS = 10.0
"""For which a version is kept waiting; streams that are left move when they are next asked for."""

log = structlog.get_logger()


class Ahead:
    """Moves the streams that are in memory, those first that were used last."""

    def __init__(self, residents: Residents, keeper: Keeper) -> None:
        self._residents = residents
        self._keeper = keeper

    async def move(self, loaded: Loaded) -> None:
        """Keep checkpoints for a version that is about to serve. Never raises for the store's
        sake: the version may serve without."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _SECONDS
        streams = [
            stream
            for stream in self._residents
            if stream.key[0] == loaded.task and stream.loaded is not loaded
        ][::-1]
        for start in range(0, len(streams), _AT_ONCE):
            if loop.time() > end:
                log.info("streams left to move", task=loaded.task, streams=len(streams) - start)
                return
            part = streams[start : start + _AT_ONCE]
            try:
                await self._keeper.keep([stream for stream in part if stream in self._residents])
                await self._keeper.ahead(loaded, [stream.key for stream in part])
            except Exception:
                log.warning("streams not moved ahead", task=loaded.task, exc_info=True)
                return
