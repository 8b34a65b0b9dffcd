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
from service.live.recorder import Recorder
from service.live.scorer import Scorer
from service.live.shadow import Shadow
from service.live.tally import Tally
from service.operations.commands import Commands
from service.registry import Registry
from service.slots import Slots
from service.streams.ahead import Ahead
from service.streams.answers import Writer
from service.streams.engine import Engine
from service.streams.feeds import Feeds
from service.streams.following import Following
from service.streams.keeper import Keeper
from service.streams.opening import Streams
from service.watch import Watch
from store.migrate import opened
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
    keeper: Keeper
    engine: Engine
    streams: Streams
    feeds: Feeds
    writer: Writer
    tally: Tally
    recorder: Recorder
    shadow: Shadow
    commands: Commands


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
        budget = BodyBudget(_BODIES_AT_ONCE * settings.max_body_bytes)
        database = await asyncio.to_thread(opened, settings.store_url)
        stack.push_async_callback(asyncio.to_thread, database.close)
        keeper = Keeper(database)
        stack.push_async_callback(keeper.close)
        tally = Tally()
        recorder = Recorder(tally, keeper)
        stack.push_async_callback(recorder.write)  # what the engine's end still brings
        recording = asyncio.create_task(recorder.run())
        stack.push_async_callback(_cancelled, recording)
        feeds = Feeds()
        shadow = Shadow(slots, library, keeper, tally, count=settings.shadow_streams)
        engine = Engine(
            slots,
            keeper,
            feeds,
            Scorer(tally, shadow.seen),
            most_resident=settings.resident_streams,
            most_waiting=settings.max_queued_observations,
        )
        stack.push_async_callback(engine.close, settings.drain_seconds)
        streams = Streams(engine, keeper, feeds)
        watch = Watch(settings, registry, bundles, slots, Ahead(engine.residents, keeper).move)
        watching = asyncio.create_task(watch.run())
        stack.push_async_callback(_cancelled, watching)
        following = asyncio.create_task(Following(feeds, slots, keeper).run())
        stack.push_async_callback(_cancelled, following)
        if settings.shadow_streams:
            shadowing = asyncio.create_task(shadow.run())
            stack.push_async_callback(_cancelled, shadowing)
        yield Parts(
            settings,
            slots,
            registry,
            library,
            watch,
            batcher,
            desk,
            budget,
            keeper,
            engine,
            streams,
            feeds,
            Writer(),
            tally,
            recorder,
            shadow,
            Commands(settings),
        )


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _parts(request: Request) -> Parts:  # sync ones are run in a thread each
    parts: Parts = request.app.state.parts
    return parts


PartsOf = Annotated[Parts, Depends(_parts)]
