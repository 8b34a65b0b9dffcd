"""Holidays ahead of a stream are read off its clock, whoever asks and however."""

from __future__ import annotations

import asyncio
from pathlib import Path

from models.timeline import Timeline
from service.problems import ProblemError
from service.streams.arrival import Arrival
from service.streams.jobs import Reply
from service.streams.observation_request import read_stream
from store.database import Database
from tests.service.streams.driving import NAMES
from tests.service.streams.plain import PlainStream, Row, assert_same, number_of
from tests.service.streams.replicas import Replica, replica
from tests.service.streams.versions import FREE, load, tiny

TASK = "hourly"


async def asked(made: Replica, arrival: Arrival) -> Reply:
    [reply] = await made.engine.post(TASK, [arrival], wants=True, seconds=30)
    assert not isinstance(reply, ProblemError)
    return reply


def test_observed_or_only_read_a_stream_forecasts_what_the_batch_does(
    stored: Database, tmp_path: Path
) -> None:
    berlin = Timeline(kind="time", freq="h", timezone="Europe/Berlin")
    version = load(tmp_path / "1", TASK, tiny(timeline=berlin, holidays=FREE))

    async def body() -> None:
        async with replica(stored, version) as made:
            plain = PlainStream(TASK, f"h{next(NAMES)}")
            await made.streams.open(version, plain.unique_id, read_stream(b""), 30)
            for step in range(20, 32):  # a holiday begins at the 25th
                plain.take(Row(step, float(step % 7)))
                ds = number_of(version.spec, step)
                expected = plain.forecast(version, len(plain.rows))
                posted = await asked(made, Arrival(plain.unique_id, [ds], [float(step % 7)]))
                assert_same(posted.values, expected)
                assert_same((await asked(made, Arrival(plain.unique_id))).values, expected)

    asyncio.run(body())
