"""What the engine does beyond the rules: order, bounds, deadlines, and its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from service.problems import ProblemError
from service.slots import Loaded
from service.streams.arrival import Arrival, Kind
from service.streams.jobs import Reply
from service.streams.observation_request import StreamBody
from store.database import Database
from tests.service.streams.driving import NAMES
from tests.service.streams.plain import PlainStream, Row, assert_same
from tests.service.streams.replicas import Replica, replica

TASK = "counted"
Run = Callable[[Callable[[Replica, str], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def loaded(versions: dict[str, list[Loaded]]) -> Loaded:
    return versions[TASK][0]


@pytest.fixture
def run(stored: Database, loaded: Loaded) -> Run:
    """run(body) runs body(a replica, the name of a new stream)."""

    def run(body: Callable[[Replica, str], Coroutine[Any, Any, None]]) -> None:
        async def work() -> None:
            async with replica(stored, loaded) as made:
                await body(made, await opened(made))

        asyncio.run(work())

    return run


async def opened(made: Replica) -> str:
    """A new stream; its name."""
    name = f"e{next(NAMES)}"
    await made.streams.open(made.champion(TASK), name, StreamBody(), 30)
    return name


async def post(
    made: Replica, name: str, *steps: int, seconds: float = 30.0
) -> Reply | ProblemError:
    """What becomes of observations whose value is 100 and their step."""
    arrival = Arrival(name, steps, [100.0 + step for step in steps])
    [reply] = await made.engine.post(TASK, [arrival], wants=True, seconds=seconds)
    return reply


async def begun(made: Replica, name: str, *steps: int, seconds: float = 30.0) -> Any:
    """The same, under way."""
    task = asyncio.create_task(post(made, name, *steps, seconds=seconds))
    await asyncio.sleep(0.01)
    return task


def done(reply: Reply | ProblemError) -> Reply:
    assert isinstance(reply, Reply), reply
    return reply


def status(reply: Reply | ProblemError) -> int:
    assert isinstance(reply, ProblemError)
    return reply.problem.status


def plain(name: str, steps: Sequence[int]) -> PlainStream:
    made = PlainStream(TASK, name)
    made.hold([Row(step, 100.0 + step) for step in steps])
    return made


@contextmanager
def standing(made: Replica) -> Iterator[None]:
    """The store's thread does nothing until the block ends."""
    go = threading.Event()
    made.keeper._writer.submit(go.wait)
    try:
        yield
    finally:
        go.set()


@contextmanager
def not_rebuilding(made: Replica) -> Iterator[None]:
    """No stream is brought to memory until the block ends."""
    go = threading.Event()
    made.keeper._rebuilder.submit(go.wait)
    try:
        yield
    finally:
        go.set()


def test_requests_of_one_stream_in_one_batch_each_have_their_own_forecast(
    run: Run, loaded: Loaded
) -> None:
    async def body(made: Replica, name: str) -> None:
        with standing(made):
            first = await begun(made, name, 0)
            tasks = [asyncio.create_task(post(made, name, step)) for step in range(1, 9)]
            await asyncio.sleep(0.01)
        for step, task in enumerate([first, *tasks]):
            reply = done(await task)
            assert (reply.head.ds, reply.head.seq) == (step, step + 1)
            assert reply.warming == (step < 5)
            assert_same(reply.values, plain(name, range(9)).forecast(loaded, step + 1))

    run(body)


def test_a_stream_has_so_many_requests_unanswered_and_no_more(run: Run) -> None:
    async def body(made: Replica, name: str) -> None:
        other = await opened(made)
        with standing(made):
            tasks = [asyncio.create_task(post(made, name, step)) for step in range(100)]
            await asyncio.sleep(0.02)
            more = await begun(made, other, 0)
            refused = [task for task in tasks if task.done()]
            for task in refused:
                error = task.exception()
                assert isinstance(error, ProblemError)
                assert error.problem.status == 429
                assert error.headers["retry-after"] == "1"
        assert done(await more).head.seq == 1
        taken = [task for task in tasks if task not in refused]
        assert len(taken) == 64
        assert {done(await task).outcomes[0].kind for task in taken} == {Kind.APPLIED}
        assert done(await post(made, name)).head.seq == 64

    run(body)


def test_requests_that_wait_for_a_stream_to_come_to_memory_are_bounded_too(run: Run) -> None:
    async def body(made: Replica, name: str) -> None:
        made.engine.forget((TASK, name))
        with not_rebuilding(made):
            tasks = []
            for step in range(100):
                tasks.append(asyncio.create_task(post(made, name, step)))
                await asyncio.sleep(0.001)
            assert sum(task.done() for task in tasks) == 36
        await asyncio.gather(*tasks, return_exceptions=True)
        assert done(await post(made, name)).head.seq == 64

    run(body)


def test_observations_wait_up_to_a_bound_in_all(stored: Database, loaded: Loaded) -> None:
    async def body() -> None:
        async with replica(stored, loaded, most_waiting=20) as made:
            names = [await opened(made) for _ in range(6)]
            with standing(made):
                waiting = [await begun(made, name, *range(5)) for name in names[:4]]
                with pytest.raises(ProblemError) as refused:
                    await post(made, names[5], 0)
                assert refused.value.problem.status == 503
                assert refused.value.headers["retry-after"] == "1"
            for task in waiting:
                assert done(await task).head.seq == 5
            assert done(await post(made, names[5], 0)).head.seq == 1

    asyncio.run(body())


def test_what_is_not_begun_in_time_changes_nothing(run: Run) -> None:
    async def body(made: Replica, name: str) -> None:
        other = await opened(made)
        with standing(made):
            first = await begun(made, name, 0)
            late = await begun(made, name, 1, seconds=0.01)
            elsewhere = await begun(made, other, 0, seconds=0.01)
            await asyncio.sleep(0.05)
        assert done(await first).head.seq == 1
        assert (status(await late), status(await elsewhere)) == (503, 503)
        assert done(await post(made, name)).head.seq == 1
        assert done(await post(made, other)).head.seq == 0

    run(body)


def test_who_hangs_up_before_it_is_begun_leaves_nothing(run: Run) -> None:
    async def body(made: Replica, name: str) -> None:
        with standing(made):
            first = await begun(made, name, 0)
            gone = await begun(made, name, 1)
            first.cancel()  # which is begun, and so will be whole
            gone.cancel()
            await asyncio.gather(first, gone, return_exceptions=True)
        assert done(await post(made, name)).head.seq == 1

    run(body)


def test_a_stream_that_was_forgotten_while_it_was_appended_to_is_no_duplicate(run: Run) -> None:
    async def body(made: Replica, name: str) -> None:
        with standing(made):
            task = await begun(made, name, 0)
            made.engine.forget((TASK, name))
        reply = done(await task)
        assert [each.kind for each in reply.outcomes] == [Kind.APPLIED]
        assert reply.head.seq == 1

    run(body)


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_an_end_that_cannot_wait_answers_everybody(
    stored: Database, loaded: Loaded, seconds: float
) -> None:
    async def body() -> None:
        made = Replica(stored, [loaded])
        name = await opened(made)
        with standing(made):
            tasks = [await begun(made, name, 0), await begun(made, name, 1)]
            closing = asyncio.create_task(made.engine.close(seconds))
            await asyncio.sleep(0.1)
        await closing
        async with asyncio.timeout(5):
            assert [status(await task) for task in tasks] == [503, 503]
        with pytest.raises(ProblemError) as refused:
            await post(made, name, 2)
        assert refused.value.problem.status == 503
        await made.keeper.close()

    asyncio.run(body())


def test_an_end_finishes_what_was_begun_and_keeps_it(stored: Database, loaded: Loaded) -> None:
    async def body() -> None:
        made = Replica(stored, [loaded])
        name = await opened(made)
        tasks = [asyncio.create_task(post(made, name, step)) for step in range(20)]
        await asyncio.sleep(0)
        await made.stop()
        assert [done(await task).head.seq for task in tasks] == list(range(1, 21))
        async with replica(stored, loaded) as again:
            reply = done(await post(again, name))
            resident = again.engine.residents.get((TASK, name))
            assert resident is not None
            assert resident.saved == 20  # a checkpoint was all that it took
            assert_same(reply.values, plain(name, range(20)).forecast(loaded, 20))

    asyncio.run(body())


def test_no_more_streams_stay_in_memory_than_may(stored: Database, loaded: Loaded) -> None:
    async def body() -> None:
        async with replica(stored, loaded, most_resident=3) as made:
            names = [await opened(made) for _ in range(8)]
            for step in range(7):
                await asyncio.gather(*(post(made, name, step) for name in names))
            await asyncio.sleep(0.05)
            assert len(made.engine.residents) == 3
            for name in names:
                reply = done(await post(made, name))
                assert_same(reply.values, plain(name, range(7)).forecast(loaded, 7))

    asyncio.run(body())


def test_a_known_future_of_the_version_before_is_refused_before_anything_is_changed(
    run: Run,
) -> None:
    async def body(made: Replica, name: str) -> None:
        arrival = Arrival(name, [0], [1.0])
        futr = np.zeros((9, 1), np.float32)
        [reply] = await made.engine.post(TASK, [arrival], wants=True, seconds=30, futr=futr)
        assert isinstance(reply, ProblemError)
        assert reply.problem.status == 503
        assert reply.problem.type.endswith("model-exchanged")
        assert done(await post(made, name)).head.seq == 0

    run(body)


def test_a_forecast_of_nothing_is_none(run: Run) -> None:
    async def body(made: Replica, name: str) -> None:
        assert done(await post(made, name)).values is None
        nothing = Arrival(name, [0], [np.nan])
        [reply] = await made.engine.post(TASK, [nothing], wants=True, seconds=30)
        assert done(reply).values is None
        assert done(reply).outcomes[0].kind is Kind.APPLIED

    run(body)
