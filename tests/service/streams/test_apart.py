"""A fault of ours is one request's, and no other's."""

from __future__ import annotations

import asyncio

from service.problems import ProblemError
from service.slots import Loaded
from service.streams.arrival import Arrival, Kind
from service.streams.jobs import Reply
from service.streams.observation_request import StreamBody
from store.database import Database
from tests.service.streams.driving import NAMES
from tests.service.streams.replicas import replica


def test_a_fault_of_ours_hurts_the_request_alone_and_at_once(
    stored: Database, versions: dict[str, list[Loaded]]
) -> None:
    task = "covariates"
    known = '{"price":1.0,"temperature":1.0}'

    async def body() -> None:
        async with replica(stored, versions[task][0]) as made:
            names = [f"e{next(NAMES)}" for _ in range(3)]
            for name in names:
                said = StreamBody(stat_exog={"area": 1.0})
                await made.streams.open(made.champion(task), name, said, 30)
            wrong = "{"  # which no route lets through

            async def send(name: str, exog: str) -> Reply | ProblemError:
                arrival = Arrival(name, [0], [1.0], [exog])
                async with asyncio.timeout(5):
                    [reply] = await made.engine.post(task, [arrival], wants=True, seconds=30)
                return reply

            first, second, third = await asyncio.gather(
                send(names[0], known), send(names[1], wrong), send(names[2], known)
            )
            assert isinstance(second, ProblemError)
            assert second.problem.status == 500
            assert isinstance(first, Reply)
            assert isinstance(third, Reply)
            assert (first.head.seq, third.head.seq) == (1, 1)
            again = await send(names[1], known)
            assert isinstance(again, Reply)
            assert again.outcomes[0].kind is Kind.APPLIED

    asyncio.run(body())
