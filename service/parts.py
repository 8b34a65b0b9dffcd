"""The parts of a running service, and how a route comes by them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from service.batcher import Batcher
from service.body import BodyBudget
from service.bundles import Bundles
from service.desk import Desk
from service.library import Library
from service.registry import Registry
from service.slots import Slots
from service.watch import Watch
from store.settings import Settings

_BODIES_AT_ONCE = 8  # of the largest size that one may have


@dataclass(frozen=True, slots=True)
class Parts:
    """What routes work with."""

    settings: Settings
    slots: Slots
    registry: Registry
    library: Library
    watch: Watch
    batcher: Batcher
    desk: Desk
    budget: BodyBudget


@contextlib.asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Parts]:
    """The parts, started; ended in reverse order when the block ends."""
    async with contextlib.AsyncExitStack() as stack:
        slots = Slots()
        desk = Desk()
        stack.push_async_callback(desk.close)
        batcher = Batcher(
            threads=settings.forecast_threads,
            batch_points=settings.batch_points,
            max_queued_points=settings.max_queued_points,
        )
        batcher.start()
        stack.push_async_callback(batcher.close)
        registry = Registry(settings)
        stack.push_async_callback(registry.close)
        bundles = Bundles(
            settings.bundles,
            registry,
            max_bytes=settings.max_bundle_bytes,
            kept=settings.kept_versions,
        )
        stack.push_async_callback(bundles.close)
        library = Library(slots, bundles, registry, kept=settings.kept_versions)
        stack.push_async_callback(library.close)
        watch = Watch(settings, registry, bundles, slots)
        watching = asyncio.create_task(watch.run())
        stack.push_async_callback(_cancelled, watching)
        budget = BodyBudget(_BODIES_AT_ONCE * settings.max_body_bytes)
        yield Parts(settings, slots, registry, library, watch, batcher, desk, budget)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _parts(request: Request) -> Parts:  # sync ones are run in a thread each
    parts: Parts = request.app.state.parts
    return parts


PartsOf = Annotated[Parts, Depends(_parts)]
