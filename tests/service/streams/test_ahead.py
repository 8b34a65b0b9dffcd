"""Streams are brought to a version before it serves, and lose nothing by it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from service.slots import Loaded
from service.streams.ahead import Ahead
from service.streams.arrival import Arrival
from service.streams.checkpoint import weights_of
from service.streams.jobs import Reply
from store.checkpoints import newest_checkpoints
from store.streams import NewStream, find_streams, open_streams
from tests.service.streams.replicas import Replica, opened, replica, store

TASK = "counted"
KEYS = [(TASK, name) for name in ("one", "two", "three")]


async def observe(made: Replica, step: int) -> list[Reply]:
    arrivals = [Arrival(name, [step], [float(step % 3)]) for _, name in KEYS]
    replies = await made.engine.post(TASK, arrivals, wants=True, seconds=10)
    assert all(isinstance(reply, Reply) for reply in replies), replies
    return [reply for reply in replies if isinstance(reply, Reply)]


def test_a_version_finds_checkpoints_as_new_as_the_log_and_so_does_the_one_before(
    tmp_path: Path, versions: dict[str, list[Loaded]]
) -> None:
    old, new = versions[TASK]

    async def main() -> None:
        with store("sqlite", tmp_path) as url, opened(url) as database:
            timeline = old.spec.timeline.model_dump_json()
            made = [NewStream(*key, timeline, 0, None, None, False, None, 5) for key in KEYS]
            with database.writing() as connection:
                open_streams(connection, made)
            async with replica(database, old) as one:
                for step in range(20):
                    await observe(one, step)
                await Ahead(one.engine.residents, one.keeper).move(new)
                with database.reading() as connection:
                    ids = [stream.id for stream in find_streams(connection, KEYS).values()]
                    for version in (old, new):
                        kept = newest_checkpoints(connection, ids, weights_of(version))
                        assert {each.seq for each in kept.values()} == {20}
                        assert kept.keys() == {*ids}
                        assert all(each.exact for each in kept.values())
                before = await observe(one, 20)
                assert all(reply.loaded is old for reply in before)
                one.promote(new)
                moved = await observe(one, 21)
                assert all(reply.loaded is new for reply in moved)
                assert all(reply.head.exact and reply.head.steps == 22 for reply in moved)
                one.promote(old)
                back = await observe(one, 22)
                assert all(reply.head.exact and reply.head.steps == 23 for reply in back)
                assert all(np.isfinite(reply.head.y) for reply in back)

    asyncio.run(main())
