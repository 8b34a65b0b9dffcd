"""What a stream's listeners would have been told, from its log: the batch forecasts of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.manifest import Memory, Reach
from service.problems import ProblemError
from service.slots import Loaded
from service.streams.arrival import Arrival, Kind
from service.streams.batch import Values
from service.streams.covariates import write_covariates
from service.streams.feeds import Event
from service.streams.following import Following
from service.streams.history import Past
from service.streams.jobs import Reply
from service.streams.observation_request import StreamBody
from store.database import Database
from tests.service.streams.driving import NAMES, exog_of, value_of
from tests.service.streams.plain import PlainStream, Row, assert_same, number_of
from tests.service.streams.replicas import Replica, opened, replica, store
from tests.store.databases import KINDS


@pytest.fixture(scope="module", params=KINDS)
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    with (
        store(request.param, tmp_path_factory.mktemp("store")) as url,
        opened(url) as database,
    ):
        yield database


def steps_of(count: int, rewind: int, seed: int) -> list[int]:
    """Steps in the order in which they are observed: some late, some left out, one long gap."""
    draw = random.Random(seed)  # noqa: S311 - which steps, no secret
    steps: list[int] = []
    newest = 0
    while len(steps) < count:
        late = [step for step in range(newest - rewind, newest) if step not in steps]
        if rewind and len(steps) > 3 and late and draw.random() < 0.3:
            steps.append(draw.choice(late))
            continue
        newest += draw.choice((1, 1, 1, 2, 3)) if len(steps) != count // 2 else 40
        steps.append(newest)
    return steps


async def observed(it: Replica, plain: PlainStream, steps: list[int], *, every: int) -> None:
    """Post the steps one by one. every: after so many the stream leaves memory."""
    loaded = it.champion(plain.task)
    spec = loaded.spec
    names = spec.hist_exog + spec.futr_exog
    for count, step in enumerate(steps):
        row = Row(step, value_of(step), exog_of(spec, step))
        plain.observe(spec, row)
        exog = [write_covariates(dict(zip(names, row.exog, strict=True))) or "{}"]
        y = np.nan if row.y is None else row.y
        arrival = Arrival(plain.unique_id, [number_of(spec, step)], [y], exog if names else None)
        [reply] = await it.engine.post(plain.task, [arrival], wants=False, seconds=30)
        assert isinstance(reply, Reply)
        if every and count % every == 0:
            stream = it.engine.residents.get((plain.task, plain.unique_id))
            assert stream is not None
            await it.keeper.keep([stream])


def check(
    events: list[Event],
    loaded: Loaded,
    plain: PlainStream,
    first: int,
    forecasts: list[Values | None],
) -> None:
    """forecasts: after each row of the log, from its first."""
    for seq, event in enumerate(events, first):
        row = plain.rows[seq - 1]
        newest = max(each.step for each in plain.rows[:seq])
        assert (event.seq, event.outcome.ds) == (seq, number_of(loaded.spec, row.step))
        assert event.newest == number_of(loaded.spec, newest)
        assert (event.outcome.kind is Kind.REWOUND) == (row.step < newest)
        assert event.outcome.steps == plain.head(loaded.spec, seq)[2]
        assert_same(event.values, forecasts[seq - 1])


@pytest.mark.parametrize("task", ["counted", "hourly", "covariates"])
@pytest.mark.parametrize(("rewind", "every"), [(0, 0), (0, 7), (5, 0), (5, 7)])
def test_every_event_is_the_batch_forecast_over_the_log_so_far(
    database: Database,
    versions: dict[str, list[Loaded]],
    task: str,
    rewind: int,
    every: int,
) -> None:
    loaded, other = versions[task]
    plain = PlainStream(task, f"past-{next(NAMES)}", rewind)
    if loaded.spec.stat_exog:
        plain.stat = (0.5,)
    steps = steps_of(60, rewind, seed=every)

    async def main() -> None:
        async with replica(database, loaded) as it:
            body: dict[str, Any] = {"rewind": rewind}
            if plain.stat:
                body |= {"stat_exog": dict(zip(loaded.spec.stat_exog, plain.stat, strict=True))}
            await it.streams.open(loaded, plain.unique_id, StreamBody.model_validate(body), 30)
            await observed(it, plain, steps, every=every)

    asyncio.run(main())
    key = task, plain.unique_id
    for version in (loaded, other):
        forecasts = [plain.forecast(version, seq) for seq in range(1, 61)]
        for after in (0, 1, 17, 29, 30, 31, 44, 59, 60):
            past = Past(database, version, key, after)
            events: list[Event] = []
            while more := past.events(11):
                events += more
            assert len(events) == 60 - after
            check(events, version, plain, after + 1, forecasts)


@pytest.mark.parametrize("rewind", [0, 5])
@pytest.mark.parametrize("exact", [False, True])
def test_no_more_is_replayed_than_the_model_remembers(
    database: Database, versions: dict[str, list[Loaded]], rewind: int, exact: bool
) -> None:
    reach = Reach(tolerance=1e-6, median=50, worst=50)
    memory = Memory(n_series=1, longest=100, reaches=(reach,))
    plain = PlainStream("counted", f"past-{next(NAMES)}", rewind)
    loaded = versions["counted"][0]
    remembering = replace(loaded, manifest=loaded.manifest.model_copy(update={"memory": memory}))

    async def main() -> None:
        async with replica(database, loaded) as it:
            body = StreamBody(rewind=rewind, exact=exact)
            await it.streams.open(loaded, plain.unique_id, body, 30)
            await observed(it, plain, steps_of(90, rewind, seed=1), every=0)

    asyncio.run(main())
    [event, _] = Past(database, remembering, ("counted", plain.unique_id), 88).events(9)
    assert_same(event.values, plain.forecast(loaded, 89))
    steps, whole = event.outcome.steps, plain.head(loaded.spec, 89)[2]
    assert steps == whole if exact else loaded.spec.input_size < steps < whole


def test_a_stream_that_is_not_there_has_no_past(
    database: Database, versions: dict[str, list[Loaded]]
) -> None:
    assert Past(database, versions["counted"][0], ("counted", "nobody"), 0).events(9) == []


def test_a_late_and_a_long_arrival_are_told_once_to_all(
    database: Database, versions: dict[str, list[Loaded]]
) -> None:
    loaded = versions["counted"][0]
    plain = PlainStream("counted", f"past-{next(NAMES)}", 3)
    key = plain.task, plain.unique_id

    async def main() -> list[list[Event]]:
        async with replica(database, loaded) as it:
            following = asyncio.create_task(Following(it.feeds, it.slots, it.keeper).run())
            body = StreamBody(rewind=3)
            reply, _ = await it.streams.open(loaded, plain.unique_id, body, 30)
            with it.feeds.reading() as reader:
                ears = [it.feeds.listen(reader, reply.id, key, seen=0, newest=0) for _ in range(2)]
                told: list[list[Event]] = [[], []]
                steps = [*range(10), *range(11, 620), 700, 699]
                for part in (steps[:5], steps[5:-2], steps[-2:]):
                    rows = [Row(step, value_of(step)) for step in part]
                    for row in rows:
                        plain.observe(loaded.spec, row)
                    y = [np.nan if row.y is None else row.y for row in rows]
                    arrival = Arrival(plain.unique_id, part, y)
                    posting = asyncio.create_task(
                        it.engine.post(key[0], [arrival], wants=True, seconds=30)
                    )
                    while min(map(len, told)) < len(plain.rows):
                        async with asyncio.timeout(20):
                            await reader.changed.wait()
                        reader.changed.clear()
                        for ear, its in zip(ears, told, strict=True):
                            while (event := ear.next()) is not None:
                                its.append(event)
                            assert not ear.behind
                    [said] = await posting
                    assert not isinstance(said, ProblemError)
                for ear in ears:
                    it.feeds.leave(ear)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        return told

    one, other = asyncio.run(main())
    assert one == other
    forecasts = [plain.forecast(loaded, seq) for seq in range(1, len(one) + 1)]
    check(one[:12], loaded, plain, 1, forecasts)
    check(one[-4:], loaded, plain, len(one) - 3, forecasts)
