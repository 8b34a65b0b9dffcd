"""Streams are opened, changed, closed, and taken elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import orjson
import pytest

from service.problems import ProblemError
from service.slots import Loaded
from service.streams.arrival import Arrival, Kind
from service.streams.jobs import Reply
from service.streams.observation_request import read_stream
from store.database import Database
from tests.service.streams.driving import NAMES
from tests.service.streams.plain import PlainStream, Row, assert_same
from tests.service.streams.replicas import Replica, replica

TASK = "counted"
HOUR = 3_600_000
Body = Callable[[Replica, str], Coroutine[Any, Any, None]]


@pytest.fixture
def loaded(versions: dict[str, list[Loaded]]) -> Loaded:
    return versions[TASK][0]


def on_one(stored: Database, loaded: Loaded, body: Body) -> None:
    """Run body(a replica, the name of a stream that is not there)."""

    async def work() -> None:
        async with replica(stored, loaded) as made:
            await body(made, f"o{next(NAMES)}")

    asyncio.run(work())


async def put(made: Replica, name: str, task: str = TASK, **said: Any) -> tuple[Reply, bool]:
    body = read_stream(orjson.dumps(said) if said else b"")
    return await made.streams.open(made.champion(task), name, body, 30)


async def post(made: Replica, name: str, *steps: int) -> Reply:
    arrival = Arrival(name, steps, [100.0 + step for step in steps])
    [reply] = await made.engine.post(TASK, [arrival], wants=True, seconds=30)
    if isinstance(reply, ProblemError):
        raise reply
    return reply


async def problem_of(work: Awaitable[object]) -> tuple[int, dict[str, Any]]:
    with pytest.raises(ProblemError) as refused:
        await work
    problem = refused.value.problem
    return problem.status, {"type": problem.type.rpartition(":")[2], **(problem.model_extra or {})}


def test_opening_twice_changes_what_is_given_and_nothing_else(
    stored: Database, loaded: Loaded
) -> None:
    async def body(made: Replica, name: str) -> None:
        reply, new = await put(made, name, rewind=3, ttl_hours=5)
        assert new
        assert reply.options[1:] == (3, 6, 5.0)
        await post(made, name, 0, 1)
        reply, new = await put(made, name, max_gap=2)
        assert not new
        assert reply.options[1:] == (3, 2, 5.0)
        assert reply.head.seq == 2
        reply, _ = await put(made, name)
        assert reply.options[1:] == (3, 2, 5.0)
        reply, _ = await put(made, name, ttl_hours=None)
        assert reply.options[1:] == (3, 2, None)

    on_one(stored, loaded, body)


def test_many_who_open_one_stream_open_it_once(stored: Database, loaded: Loaded) -> None:
    async def body(made: Replica, name: str) -> None:
        history = {"start": 0, "y": [1.0, 2.0, None, 4.0]}
        found = await asyncio.gather(*(put(made, name, history=history) for _ in range(20)))
        assert sum(new for _, new in found) == 1
        assert all(reply.head.seq == 4 for reply, _ in found)

    on_one(stored, loaded, body)


def test_a_history_adds_what_the_log_does_not_have(stored: Database, loaded: Loaded) -> None:
    async def body(made: Replica, name: str) -> None:
        await put(made, name, history={"start": 0, "y": [1.0, 2.0]})
        reply, _ = await put(made, name, history={"start": 0, "y": [1.0, 2.0, 3.0]})
        kinds = [each.kind for each in reply.outcomes]
        assert kinds == [Kind.DUPLICATE, Kind.DUPLICATE, Kind.APPLIED]
        reply, _ = await put(made, name, history={"start": 0, "y": [1.0, 2.5]})
        assert reply.outcomes[1].kind is Kind.CONFLICT

    on_one(stored, loaded, body)


def test_a_closed_stream_is_gone_until_it_is_opened_again(stored: Database, loaded: Loaded) -> None:
    async def body(made: Replica, name: str) -> None:
        await put(made, name)
        await post(made, name, 0, 1)
        for _ in range(2):  # again, which is no fault
            said = await made.streams.close(loaded, name)
            assert said == {"model": TASK, "unique_id": name, "state": "closed", "last_ds": 1}
        gone = 410, {"type": "closed-stream", "last_ds": 1}
        assert await problem_of(post(made, name, 2)) == gone
        assert await problem_of(post(made, name)) == gone
        reply, new = await put(made, name)
        assert (new, reply.head.seq) == (False, 2)
        assert (await post(made, name, 2)).head.seq == 3

    on_one(stored, loaded, body)


def test_what_was_never_opened_is_unknown(stored: Database, loaded: Loaded) -> None:
    async def body(made: Replica, name: str) -> None:
        unknown = 404, {"type": "unknown-stream"}
        assert await problem_of(post(made, name, 0)) == unknown
        assert await problem_of(made.streams.close(loaded, name)) == unknown
        assert await problem_of(made.streams.snapshot(loaded, name)) == unknown

    on_one(stored, loaded, body)


def test_a_stream_closed_on_one_replica_is_closed_on_the_other(
    stored: Database, loaded: Loaded
) -> None:
    async def body(made: Replica, name: str) -> None:
        await put(made, name)
        async with replica(stored, loaded) as other:
            await post(other, name, 0)
            await made.streams.close(loaded, name)
            assert (await problem_of(post(other, name, 1)))[0] == 410
            assert (await problem_of(post(other, name)))[0] == 410
            await put(made, name)
            assert (await post(other, name, 1)).head.seq == 2

    on_one(stored, loaded, body)


def test_a_silent_stream_expires(stored: Database, loaded: Loaded) -> None:
    async def body() -> None:
        now = 1_000
        made = Replica(stored, [loaded], clock=lambda: now)
        name = f"o{next(NAMES)}"
        reply, _ = await put(made, name, ttl_hours=2)
        now = reply.head.received
        await post(made, name, 0)
        now += HOUR
        await post(made, name, 1)
        now += 2 * HOUR
        await post(made, name)  # in the last moment, and a look does not count
        now += 1
        expired = 410, {"type": "expired-stream", "last_ds": 1}
        assert await problem_of(post(made, name)) == expired
        assert await problem_of(post(made, name, 2)) == expired
        await made.stop()
        made = Replica(stored, [loaded], clock=lambda: now)
        assert await problem_of(post(made, name)) == expired
        await made.stop()

    asyncio.run(body())


def test_a_late_observation_keeps_a_stream_alive(stored: Database, loaded: Loaded) -> None:
    async def body() -> None:
        now = 1_000
        made = Replica(stored, [loaded], clock=lambda: now)
        try:
            name = f"o{next(NAMES)}"
            reply, _ = await put(made, name, ttl_hours=2, rewind=5)
            now = reply.head.received
            await post(made, name, 0, 2)
            now += 2 * HOUR
            await post(made, name, 1)
            now += HOUR
            assert (await post(made, name)).head.seq == 3
        finally:
            await made.stop()

    asyncio.run(body())


def test_a_stream_of_another_timeline_is_not_read(
    stored: Database, versions: dict[str, list[Loaded]]
) -> None:
    first, hourly = versions[TASK][0], versions["hourly"][0]

    async def body(made: Replica, name: str) -> None:
        await put(made, name)
        await post(made, name, 0)
        made.promote(Loaded(TASK, "9", "", hourly.forecaster, hourly.manifest))
        incompatible = 409, {"type": "incompatible-version"}
        assert await problem_of(post(made, name)) == incompatible
        assert await problem_of(put(made, name)) == incompatible
        made.promote(first)
        assert (await post(made, name, 1)).head.seq == 2

    on_one(stored, first, body)


def test_stat_exog_never_changes(stored: Database, versions: dict[str, list[Loaded]]) -> None:
    async def body(made: Replica, name: str) -> None:
        task = "covariates"
        assert (await problem_of(put(made, name, task)))[0] == 422
        await put(made, name, task, stat_exog={"area": 1})
        await put(made, name, task, stat_exog={"area": 1.0}, rewind=2)
        other = 409, {"type": "other-stream"}
        assert await problem_of(put(made, name, task, stat_exog={"area": 2})) == other

    on_one(stored, versions["covariates"][0], body)


def test_a_snapshot_opens_the_same_elsewhere(stored: Database, loaded: Loaded) -> None:
    async def body(made: Replica, name: str) -> None:
        await put(made, name, rewind=9, max_gap=2, exact=True)
        await post(made, name, 0, 1, 3, 2)
        await post(made, name, 9, 10)
        snapshot = await made.streams.snapshot(loaded, name)
        assert snapshot["history"]["ds"] == [0, 1, 2, 3, 9, 10]
        reply, new = await put(made, f"{name}b", **snapshot)
        assert new
        assert (reply.head.seq, reply.head.start, reply.head.steps) == (6, 9, 2)
        assert reply.options[1:] == (9, 2, None)
        one, other = await post(made, name), await post(made, f"{name}b")
        assert_same(one.values, other.values)
        assert await made.streams.snapshot(loaded, f"{name}b") == snapshot

    on_one(stored, loaded, body)


def test_streams_are_listed_by_name(stored: Database, versions: dict[str, list[Loaded]]) -> None:
    async def body(made: Replica, _: str) -> None:
        task = "hourly"
        for name in ("b", "a", "c", "é", "Z"):
            await put(made, name, task)
        await made.streams.close(made.champion(task), "c")
        first = await made.streams.names(task, None, 2)
        assert [each["unique_id"] for each in first] == ["Z", "a"]
        rest = await made.streams.names(task, "a", 100)
        listed = [(each["unique_id"], each["closed"]) for each in rest]
        assert listed == [("b", False), ("c", True), ("é", False)]

    on_one(stored, versions["hourly"][0], body)


def test_a_new_max_gap_holds_for_the_log_as_it_is(stored: Database, loaded: Loaded) -> None:
    async def body(made: Replica, name: str) -> None:
        await put(made, name, max_gap=5)
        await post(made, name, 0, 1, 5, 6)
        made.engine.residents.capacity = 0
        await put(made, f"{name}b")
        await asyncio.sleep(0.05)  # it is in a checkpoint now
        made.engine.residents.capacity = 9
        reply, _ = await put(made, name, max_gap=1)
        assert reply.head.start == 5
        plain = PlainStream(TASK, name, max_gap=1)
        plain.hold([Row(step, 100.0 + step) for step in (0, 1, 5, 6)])
        assert_same((await post(made, name)).values, plain.forecast(loaded, 4))

    on_one(stored, loaded, body)


def test_options_changed_on_one_replica_hold_on_the_other(stored: Database, loaded: Loaded) -> None:
    async def body(made: Replica, name: str) -> None:
        await put(made, name)
        async with replica(stored, loaded) as other:
            await post(other, name, 0, 2)
            await put(made, name, rewind=5)
            assert (await post(other, name, 1)).outcomes[0].kind is Kind.REWOUND

    on_one(stored, loaded, body)
