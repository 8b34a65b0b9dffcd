"""Forecasts held against their truth by a real engine and store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from service.live.scorer import SAMPLE_EVERY
from service.slots import Loaded
from service.streams.arrival import Arrival, Kind
from service.streams.jobs import Reply
from service.streams.observation_request import StreamBody
from store.database import Database
from tests.service.live.by_hand import assert_equal, numbers, scores
from tests.service.streams.driving import NAMES
from tests.service.streams.plain import PlainStream, Row
from tests.service.streams.replicas import Replica, replica

RANDOM = np.random.default_rng(7)
Run = Callable[[Callable[[Replica, PlainStream], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=["counted", "hourly"])
def loaded(versions: dict[str, list[Loaded]], request: pytest.FixtureRequest) -> Loaded:
    return versions[request.param][0]


@pytest.fixture
def run(stored: Database, loaded: Loaded) -> Run:
    """run(body) runs body(a replica, a new stream)."""

    def run(body: Callable[[Replica, PlainStream], Coroutine[Any, Any, None]]) -> None:
        async def work() -> None:
            async with replica(stored, loaded) as made:
                await body(made, await opened(made, loaded))

        asyncio.run(work())

    return run


async def opened(made: Replica, loaded: Loaded, **said: Any) -> PlainStream:
    name = f"s{next(NAMES)}"
    await made.streams.open(loaded, name, StreamBody(**said), 30)
    return PlainStream(loaded.task, name)


def values(count: int, *, missing: int = 0) -> list[float | None]:
    made = (100 + 5 * RANDOM.standard_normal(count)).tolist()
    return [None if missing and i % missing == missing - 1 else y for i, y in enumerate(made)]


async def observe(
    made: Replica,
    plain: PlainStream,
    steps: list[int],
    ys: list[float | None],
    *,
    wants: bool,
    kind: Kind = Kind.APPLIED,
) -> Reply:
    """One request of these observations, all of which become what `kind` says."""
    loaded = made.champion(plain.task)
    y = [np.nan if each is None else each for each in ys]
    arrival = Arrival(plain.unique_id, numbers(loaded, steps), y)
    [reply] = await made.engine.post(plain.task, [arrival], wants=wants, seconds=30)
    assert isinstance(reply, Reply)
    assert {outcome.kind for outcome in reply.outcomes} == {kind}
    if kind is Kind.APPLIED:
        for step, each in zip(steps, ys, strict=True):
            plain.take(Row(step, each))
    return reply


async def scored(made: Replica) -> None:
    """Wait until what was answered has been scored."""
    await asyncio.sleep(0.01)


def test_forecasts_that_were_asked_for_are_scored_as_by_hand(run: Run, loaded: Loaded) -> None:
    async def body(made: Replica, plain: PlainStream) -> None:
        stream = 0
        for step, y in enumerate(values(60, missing=9)):
            stream = (await observe(made, plain, [step], [y], wants=True)).id
        await scored(made)
        expected = scores(loaded, plain, range(1, 61), stream)
        assert (len(expected[1]), len(expected[3])) > (20, 8)
        assert_equal(made.tally.totals, loaded, expected)

    run(body)


def test_a_step_that_was_left_out_is_not_scored(run: Run, loaded: Loaded) -> None:
    async def body(made: Replica, plain: PlainStream) -> None:
        steps = [step for step in range(50) if step % 11 not in (3, 4)]
        stream = 0
        for step, y in zip(steps, values(len(steps)), strict=True):
            stream = (await observe(made, plain, [step], [y], wants=True)).id
        await scored(made)
        expected = scores(loaded, plain, range(1, len(steps) + 1), stream)
        assert_equal(made.tally.totals, loaded, expected)

    run(body)


def test_streams_that_nobody_asks_are_sampled(run: Run, loaded: Loaded) -> None:
    async def body(made: Replica, plain: PlainStream) -> None:
        stream = 0
        for step, y in enumerate(values(200)):
            stream = (await observe(made, plain, [step], [y], wants=False)).id
        await scored(made)
        due = [seq for seq in range(1, 201) if (seq + stream) % SAMPLE_EVERY == 0]
        expected = scores(loaded, plain, due, stream)
        assert len(expected[1]) >= 3
        assert_equal(made.tally.totals, loaded, expected)

    run(body)


def test_several_observations_at_once_score_the_forecast_before_them(
    run: Run, loaded: Loaded
) -> None:
    async def body(made: Replica, plain: PlainStream) -> None:
        ends, stream = [], 0
        for first in range(0, 60, 5):
            steps = list(range(first, first + 5))
            stream = (await observe(made, plain, steps, values(5), wants=True)).id
            ends.append(first + 5)
        await scored(made)
        expected = scores(loaded, plain, ends, stream, fresh=5)
        assert len(expected[3]) >= 9
        assert_equal(made.tally.totals, loaded, expected)

    run(body)


def test_nothing_is_scored_twice(run: Run, loaded: Loaded) -> None:
    async def body(made: Replica, plain: PlainStream) -> None:
        ys = values(20)
        for step, y in enumerate(ys):
            await observe(made, plain, [step], [y], wants=True)
        await scored(made)
        before = {place: sums.copy() for place, sums in made.tally.totals.items()}
        for step in (19, 18, 5):
            kind = Kind.DUPLICATE
            await observe(made, plain, [step], [ys[step]], wants=True, kind=kind)
            kind = Kind.CONFLICT
            await observe(made, plain, [step], [-1.0], wants=True, kind=kind)
        await scored(made)
        assert {place: sums[:5].tolist() for place, sums in made.tally.totals.items()} == {
            place: sums[:5].tolist() for place, sums in before.items()
        }

    run(body)


def test_what_comes_late_is_not_scored(run: Run, loaded: Loaded) -> None:
    async def body(made: Replica, _: PlainStream) -> None:
        plain = await opened(made, loaded, rewind=10)
        for step, y in enumerate(values(12)):
            await observe(made, plain, [step], [y], wants=True)
        await observe(made, plain, [14], [101.0], wants=True)
        await scored(made)
        before = {place: sums[0] for place, sums in made.tally.totals.items()}
        await observe(made, plain, [12, 13], [99.0, 98.0], wants=True, kind=Kind.REWOUND)
        await scored(made)
        assert {place: sums[0] for place, sums in made.tally.totals.items()} == before

    run(body)


def test_over_two_replicas_and_a_restart_each_observation_is_scored_once_at_most(
    stored: Database, loaded: Loaded
) -> None:
    async def work() -> None:
        one, other = Replica(stored, [loaded]), Replica(stored, [loaded])
        plain = await opened(one, loaded)
        count = 0
        for step, y in enumerate(values(60)):
            if step == 40:
                await one.crash()
                count += _scored(one, loaded)
                one = Replica(stored, [loaded])
            made = (one, other)[step // 5 % 2]
            await observe(made, plain, [step], [y], wants=True)
        await scored(one)
        count += _scored(one, loaded) + _scored(other, loaded)
        assert 30 < count <= 60 - loaded.spec.input_size
        await one.stop()
        await other.stop()

    asyncio.run(work())


def test_a_forecast_is_scored_for_the_version_that_made_it(
    versions: dict[str, list[Loaded]], stored: Database
) -> None:
    first = versions["counted"][0]
    second = replace(versions["counted"][1], version="2")

    async def work() -> None:
        async with replica(stored, first) as made:
            plain = await opened(made, first)
            stream = 0
            for step, y in enumerate(values(60)):
                if step == 30:
                    made.promote(second)
                stream = (await observe(made, plain, [step], [y], wants=True)).id
            await scored(made)
            half = PlainStream(plain.task, plain.unique_id, rows=plain.rows[:30])
            assert_equal(made.tally.totals, first, scores(first, half, range(1, 31), stream))
            expected = scores(second, plain, range(31, 61), stream)
            assert_equal(made.tally.totals, second, expected)
            assert len(expected[1]) == 29

    asyncio.run(work())


def _scored(made: Replica, loaded: Loaded) -> int:
    sums = made.tally.totals.get((loaded.task, loaded.version, 1))
    return 0 if sums is None else int(sums[0])
