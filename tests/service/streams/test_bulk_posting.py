"""How a request's arrivals go through a real engine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from models.bundle import read_bundle
from models.spec import Spec
from service.live.scorer import Scorer
from service.live.tally import Tally
from service.problems import ProblemError
from service.slots import Loaded, Slot, Slots
from service.streams import refusals
from service.streams.arrival import Arrival
from service.streams.bulk import raise_if_none_could_begin
from service.streams.bulk_posting import post, post_and_open
from service.streams.engine import Engine
from service.streams.feeds import Feeds
from service.streams.jobs import Reply
from service.streams.keeper import Keeper
from service.streams.opening import Streams
from store.migrate import opened
from tests.service.registries import COUNTED, spec, write

Test = Callable[[Engine, Streams, Loaded], Awaitable[None]]


def with_engine(folder: Path, test: Test, spec_: Spec, most_waiting: int = 10_000) -> None:
    """Run a test with an engine on a store of its own."""

    async def run() -> None:
        write(folder / "bundle", spec_)
        loaded = Loaded("steps", "1", "", *read_bundle(folder / "bundle"))
        slots, feeds = Slots(), Feeds()
        slots.put(Slot("steps", loaded))
        database = opened(f"sqlite:///{folder}/gatecast.db")
        keeper = Keeper(database)
        engine = Engine(
            slots, keeper, feeds, Scorer(Tally()), most_resident=100, most_waiting=most_waiting
        )
        try:
            await test(engine, Streams(engine, keeper, feeds), loaded)
        finally:
            await engine.close(5)
            await keeper.close()
            database.close()

    asyncio.run(run())


def arrivals(streams: int, steps: int, first: int = 0) -> list[Arrival]:
    ds = list(range(first, first + steps))
    return [Arrival(f"s{number}", ds, [float(number)] * steps) for number in range(streams)]


def statuses(replies: list[Reply | ProblemError]) -> list[int]:
    return [200 if isinstance(each, Reply) else each.problem.status for each in replies]


def test_every_arrival_has_its_own_reply_in_whatever_parts_they_go(tmp_path: Path) -> None:
    async def test(engine: Engine, streams: Streams, loaded: Loaded) -> None:
        sizes = [1, 2_000, 300, 400, 500, 1_024, 1, 1, 700, 0, 3]
        ds = [list(range(size)) for size in sizes]
        y = [[float(number)] * size for number, size in enumerate(sizes)]
        given = [Arrival(f"s{i}", ds[i], y[i]) for i in range(len(sizes))]
        replies = await post_and_open(engine, streams, loaded, given, wants=False, seconds=60)
        for number, (size, reply) in enumerate(zip(sizes, replies, strict=True)):
            assert isinstance(reply, Reply)
            assert [outcome.seq for outcome in reply.outcomes] == list(range(1, size + 1))
            assert reply.head.y == number or not size

    with_engine(tmp_path, test, spec(timeline=COUNTED))


def test_nothing_is_nothing(tmp_path: Path) -> None:
    async def test(engine: Engine, streams: Streams, loaded: Loaded) -> None:
        assert await post(engine, "steps", [], wants=False, seconds=1) == []
        assert await post_and_open(engine, streams, loaded, [], wants=False, seconds=1) == []

    with_engine(tmp_path, test, spec(timeline=COUNTED))


def test_what_is_too_late_changes_nothing_and_may_be_sent_again(tmp_path: Path) -> None:
    async def test(engine: Engine, streams: Streams, loaded: Loaded) -> None:
        await post_and_open(engine, streams, loaded, arrivals(3, 1), wants=False, seconds=10)
        with pytest.raises(ProblemError) as error:
            await post(engine, "steps", arrivals(3, 1, 1), wants=False, seconds=0)
        assert error.value.problem.status == 503
        assert error.value.headers["retry-after"]
        now = await post(engine, "steps", arrivals(3, 2), wants=False, seconds=10)
        outcomes = [outcome for each in now if isinstance(each, Reply) for outcome in each.outcomes]
        assert [outcome.kind.value for outcome in outcomes] == ["duplicate", "applied"] * 3

    with_engine(tmp_path, test, spec(timeline=COUNTED))


def test_a_503_of_all_streams_is_one_of_the_request(tmp_path: Path) -> None:
    async def test(engine: Engine, streams: Streams, loaded: Loaded) -> None:
        done = await post_and_open(engine, streams, loaded, arrivals(1, 1), wants=False, seconds=9)
        raise_if_none_could_begin([*done, refusals.too_slow()])
        raise_if_none_could_begin([refusals.unknown_stream("steps"), refusals.too_slow()])
        raise_if_none_could_begin([])
        with pytest.raises(ProblemError):
            raise_if_none_could_begin([refusals.too_slow(), refusals.not_kept("full")])

    with_engine(tmp_path, test, spec(timeline=COUNTED))


def test_a_queue_that_is_full_refuses_the_parts_that_it_does_not_take(tmp_path: Path) -> None:
    async def test(engine: Engine, streams: Streams, loaded: Loaded) -> None:
        await post_and_open(engine, streams, loaded, arrivals(8, 1), wants=False, seconds=10)
        posted = post(engine, "steps", arrivals(8, 400, 1), wants=False, seconds=10)
        replies = await posted
        assert statuses(replies) == [200, 200, 503, 503, 503, 503, 503, 503]

    with_engine(tmp_path, test, spec(timeline=COUNTED), most_waiting=1_000)


def test_an_engine_that_takes_nothing_refuses_the_whole(tmp_path: Path) -> None:
    async def test(engine: Engine, streams: Streams, loaded: Loaded) -> None:
        await engine.close(1)
        with pytest.raises(ProblemError) as error:
            await post(engine, "steps", arrivals(4, 600), wants=False, seconds=10)
        assert error.value.problem.status == 503

    with_engine(tmp_path, test, spec(timeline=COUNTED))


def test_a_model_with_fixed_covariates_opens_nothing(tmp_path: Path) -> None:
    async def test(engine: Engine, streams: Streams, loaded: Loaded) -> None:
        with pytest.raises(ProblemError) as error:
            await post_and_open(engine, streams, loaded, arrivals(1, 1), wants=False, seconds=1)
        assert error.value.problem.status == 422
        assert await streams.names("steps", None, 10) == []

    with_engine(tmp_path, test, spec(timeline=COUNTED, stat_exog=("area",)))
