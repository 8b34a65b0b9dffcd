"""Observations of which a forecaster makes no finite numbers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import torch

from models.forecaster import new_forecaster
from service.problems import ProblemError
from service.slots import Loaded
from service.streams.arrival import Arrival, Kind
from service.streams.jobs import Reply
from service.streams.observation_request import StreamBody
from store.database import Database
from tests.service.streams.driving import NAMES
from tests.service.streams.replicas import Replica, replica

TASK = "covariates"
GOOD = '{"price":1.0,"temperature":2.0}'
BAD = '{"price":3e38,"temperature":-3e38}'


@pytest.fixture
def loaded(versions: dict[str, list[Loaded]]) -> Loaded:
    """A version whose covariates were next to constant: large ones become infinite."""
    first = versions[TASK][0]
    forecaster = new_forecaster(first.spec, 1)
    with torch.no_grad():
        forecaster.encoder.exog_scale.fill_(1e-3)
    return replace(first, forecaster=forecaster)


async def opened(made: Replica) -> str:
    name = f"u{next(NAMES)}"
    await made.streams.open(
        made.champion(TASK), name, StreamBody(stat_exog={"area": 1.0}, rewind=9), 30
    )
    return name


async def post(made: Replica, name: str, steps: dict[int, str]) -> Reply:
    """What becomes of observations, each with covariates."""
    ds = [step * 3_600_000_000 for step in steps]
    arrival = Arrival(name, ds, [100.0] * len(ds), list(steps.values()))
    async with asyncio.timeout(20):
        [reply] = await made.engine.post(TASK, [arrival], wants=True, seconds=10)
    if isinstance(reply, ProblemError):
        raise reply
    return reply


def kinds(reply: Reply) -> list[Kind]:
    return [outcome.kind for outcome in reply.outcomes]


def test_the_one_at_fault_is_refused_alone(stored: Database, loaded: Loaded) -> None:
    async def body() -> None:
        async with replica(stored, loaded) as made:
            name = await opened(made)
            assert kinds(await post(made, name, {0: GOOD})) == [Kind.APPLIED]
            assert kinds(await post(made, name, {1: BAD})) == [Kind.UNFIT]
            reply = await post(made, name, {1: GOOD, 2: BAD, 3: GOOD})
            assert kinds(reply) == [Kind.APPLIED, Kind.UNFIT, Kind.APPLIED]
            assert reply.head.seq == 3
            assert reply.values is not None

    asyncio.run(body())


def test_those_that_come_with_it_are_not_hurt(stored: Database, loaded: Loaded) -> None:
    async def body() -> None:
        async with replica(stored, loaded) as made:
            name, other = await opened(made), await opened(made)
            await post(made, name, {0: GOOD})
            replies = await asyncio.gather(
                post(made, name, {1: GOOD}),
                post(made, name, {}),
                post(made, other, {1: GOOD}),
                post(made, name, {2: BAD}),
                post(made, name, {}),
                post(made, name, {3: GOOD, 4: BAD}),
            )
            applied, unfit = Kind.APPLIED, Kind.UNFIT
            expected = [[applied], [], [applied], [unfit], [], [applied, unfit]]
            assert [kinds(reply) for reply in replies] == expected
            last = [kinds(reply)[-1:] for reply in replies]
            assert [reply.values is None for reply in replies] == [e == [unfit] for e in last]

    asyncio.run(body())


@pytest.mark.parametrize("late", [False, True], ids=["long", "late"])
def test_what_is_in_the_log_before_it_is_computed_has_no_forecast_and_is_no_fault_of_ours(
    stored: Database, loaded: Loaded, late: bool
) -> None:
    async def body() -> None:
        async with replica(stored, loaded) as made:
            name = await opened(made)
            await post(made, name, {0: GOOD, 2: GOOD})
            steps = {1: BAD} if late else dict.fromkeys(range(3, 700), BAD)
            reply = await post(made, name, steps)
            assert set(kinds(reply)) == {Kind.REWOUND if late else Kind.APPLIED}
            assert reply.values is None
            assert (await post(made, name, {})).values is None
            assert kinds(await post(made, name, {720: GOOD})) == [Kind.APPLIED]  # begins anew
            assert (await post(made, name, {})).values is not None

    asyncio.run(body())
