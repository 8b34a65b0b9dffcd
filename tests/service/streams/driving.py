"""Requests to one of two replicas, each held against what plain Python makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.spec import Spec
from service.problems import ProblemError
from service.slots import Loaded
from service.streams.arrival import Arrival, Kind, Outcome
from service.streams.covariates import write_covariates
from service.streams.jobs import Reply
from service.streams.observation_request import StreamBody
from store.database import Database
from store.log import rows_after
from store.streams import find_streams
from tests.service.streams.plain import HOUR, PlainStream, Row, assert_same, number_of, stamp_of
from tests.service.streams.replicas import Replica

T = TypeVar("T")

RESIDENT = 2
SECONDS = 30.0
FIRST_STEP = 10
NAMES = count()
"""Streams of all runs share a store, and so need names of their own."""


class Move(NamedTuple):
    """An observation relative to those that a stream has. far: steps, or which of them."""

    kind: str
    far: int
    value: int


@dataclass(frozen=True)
class Request:
    """Observations of a stream, and what becomes of each; None where the stream is closed."""

    stream: PlainStream
    arrival: Arrival
    outcomes: list[Outcome] | None
    wants: bool


@dataclass
class Drive:
    """Two replicas on one store, and the streams that they have.

    here: the replica that is spoken to. databases: a connection for each of them.
    """

    loop: asyncio.AbstractEventLoop
    databases: Sequence[Database]
    versions: dict[str, list[Loaded]]
    streams: list[PlainStream] = field(default_factory=list)
    replicas: list[Replica] = field(default_factory=list)
    serving: list[dict[str, int]] = field(default_factory=list)
    here: int = 0

    @property
    def replica(self) -> Replica:
        """The one that is spoken to."""
        return self.replicas[self.here]

    def at(self, place: int) -> PlainStream:
        """One of the streams, whatever the number."""
        return self.streams[place % len(self.streams)]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it on the event loop, in 20 s at most."""
        return self.loop.run_until_complete(asyncio.wait_for(work, 20))

    def start(self) -> None:
        """Start both replicas."""
        self.serving = [dict.fromkeys(self.versions, 0) for _ in self.databases]
        self.replicas = [self.run(self._made(place)) for place in range(len(self.databases))]

    def start_again(self) -> None:
        """Start the one that is spoken to, which has ended."""
        self.replicas[self.here] = self.run(self._made(self.here))

    def promote(self, task: str, place: int) -> None:
        """Let the other version serve a task."""
        self.serving[place][task] = 1 - self.serving[place][task]
        self.replicas[place].promote(self.versions[task][self.serving[place][task]])

    def judged(self, place: int, moves: Sequence[Move], *, wants: bool) -> Request:
        """A request of one stream, whose rows the plain stream takes."""
        plain = self.at(place)
        spec = self.replica.champion(plain.task).spec
        ds: list[int] = []
        rows: list[Row] = []
        outcomes: list[Outcome] = []
        for move in moves:
            row = _row(plain, spec, move)
            rows.append(row)
            ds.append(number_of(spec, row.step))
            if move.kind == "astray" and spec.timeline.kind == "time" and plain.rows:
                ds[-1] += HOUR // 2
                outcomes.append(Outcome(Kind.ASTRAY, ds[-1]))
            elif not plain.closed:
                outcomes.append(plain.observe(spec, row))
        names = spec.hist_exog + spec.futr_exog
        exog = None
        if names:
            exog = [
                write_covariates(dict(zip(names, row.exog, strict=True))) or "{}" for row in rows
            ]
        y = [np.nan if row.y is None else row.y for row in rows]
        arrival = Arrival(plain.unique_id, ds, y, exog)
        return Request(plain, arrival, None if plain.closed else outcomes, wants)

    async def post(self, requests: Sequence[Request], *, together: bool, futr: bool) -> None:
        """All at once, each by itself or those of a task in one, and check what is answered."""
        groups: list[list[Request]] = [[request] for request in requests]
        if together:
            groups = [
                [each for each in requests if (each.stream.task, each.wants) == (task, wants)]
                for task in self.versions
                for wants in (False, True)
            ]
        await asyncio.gather(*(self._post(group, futr=futr) for group in groups if group))

    async def crash(self, requests: Sequence[Request], pauses: int) -> None:
        """Stop dead amid requests: what is in the log then is the first part of each stream's.

        What was answered is in it.
        """
        tasks = [asyncio.create_task(self._post([each], futr=False)) for each in requests]
        for _ in range(pauses):
            await asyncio.sleep(0.0003)
        acknowledged: dict[int, int] = {}
        for each, task in zip(requests, tasks, strict=True):
            if task.done():
                seqs = [outcome.seq for outcome in each.outcomes or () if outcome.accepted]
                acknowledged[id(each.stream)] = max(acknowledged.get(id(each.stream), 0), *seqs, 0)
        for task in tasks:
            task.cancel()  # whom nobody answers
        await self.replica.crash()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        for plain in {id(each.stream): each.stream for each in requests}.values():
            kept = self.logged(plain)
            assert kept == plain.rows[: len(kept)]
            assert len(kept) >= acknowledged.get(id(plain), 0)
            plain.hold(kept)

    def logged(self, plain: PlainStream) -> list[Row]:
        """What the store has of a stream, in the order of arrival."""
        spec = self.replica.champion(plain.task).spec
        key = plain.task, plain.unique_id
        with self.databases[0].reading() as connection:
            stream = find_streams(connection, [key])[key].id
            rows = rows_after(connection, {stream: None})[stream]
        assert sorted(rows.seq.tolist()) == list(range(1, len(rows) + 1))
        steps = {number_of(spec, row.step): row for row in plain.rows}
        kept = {
            seq: steps[ds]._replace(y=_known(y))
            for ds, y, seq in zip(rows.ds.tolist(), rows.y.tolist(), rows.seq.tolist(), strict=True)
        }
        return [kept[seq] for seq in sorted(kept)]

    def put(self, plain: PlainStream, said: dict[str, Any], rows: Sequence[Row]) -> bool:
        """Open a stream with a history; whether it was made."""
        loaded = self.replica.champion(plain.task)
        outcomes = [plain.observe(loaded.spec, row) for row in rows]
        body = said | history_of(loaded.spec, rows)
        if plain.stat:
            names = loaded.spec.stat_exog
            body["stat_exog"] = dict(zip(names, plain.stat, strict=True))
        reply, made = self.run(
            self.replica.streams.open(
                loaded, plain.unique_id, StreamBody.model_validate(body), SECONDS
            )
        )
        _check_outcomes(outcomes, reply.outcomes)
        self.check_head(plain, reply)
        assert reply.options.rewind == plain.rewind
        return made

    async def _made(self, place: int) -> Replica:
        champions = [its[self.serving[place][task]] for task, its in self.versions.items()]
        return Replica(self.databases[place], champions, most_resident=RESIDENT)

    async def _post(self, requests: Sequence[Request], *, futr: bool) -> None:
        task = requests[0].stream.task
        spec = self.replica.champion(task).spec
        future: NDArray[np.float32] | None = None
        if futr and spec.futr_exog:
            future = np.linspace(-1, 2, spec.horizon, dtype=np.float32)[:, None]
        replies = await self.replica.engine.post(
            task,
            [each.arrival for each in requests],
            wants=requests[0].wants,
            seconds=SECONDS,
            futr=future,
        )
        for request, reply in zip(requests, replies, strict=True):
            self._check(request, reply, future)

    def _check(
        self, request: Request, reply: Reply | ProblemError, futr: NDArray[np.float32] | None
    ) -> None:
        if request.outcomes is None:
            assert isinstance(reply, ProblemError)
            assert reply.problem.status == 410
            return
        if isinstance(reply, ProblemError):
            raise reply
        _check_outcomes(request.outcomes, reply.outcomes)
        self.check_head(request.stream, reply)
        own = [each.seq for each in reply.outcomes if each.accepted]
        assert reply.head.seq >= max(own, default=0)
        if own and not request.stream.rewind and reply.outcomes[-1].kind is Kind.APPLIED:
            assert reply.outcomes[-1].steps == request.stream.head(reply.loaded.spec, own[-1])[2]
        expected = None
        if request.wants:
            expected = request.stream.forecast(reply.loaded, reply.head.seq, futr)
        assert_same(reply.values, expected)

    def check_head(self, plain: PlainStream, reply: Reply) -> None:
        """The end of the log that an answer speaks of is one that the log has had."""
        assert reply.loaded is self.replica.champion(plain.task)
        expected = plain.head(reply.loaded.spec, reply.head.seq)
        assert (reply.head.ds, reply.head.start, reply.head.steps) == expected
        assert reply.warming == (expected[2] < reply.loaded.spec.input_size)


def value_of(number: int) -> float | None:
    """A value far from zero, or, one time in eleven, none."""
    return None if number % 11 == 10 else 100.0 + (number * 7919 % 1000) / 20


def exog_of(spec: Spec, number: int) -> tuple[float | None, ...]:
    """Covariates, of which now and then one is unknown."""
    size = len(spec.hist_exog) + len(spec.futr_exog)
    return tuple(None if (number + k) % 5 == 4 else (number + k) % 13 / 4 for k in range(size))


def history_of(spec: Spec, rows: Sequence[Row]) -> dict[str, Any]:
    """The part of a PUT's body that is a history."""
    if not rows:
        return {}
    names = spec.hist_exog + spec.futr_exog
    exog = {name: [row.exog[k] for row in rows] for k, name in enumerate(names)}
    ds = [stamp_of(spec, row.step) for row in rows]
    return {"history": {"ds": ds, "y": [row.y for row in rows], "exog": exog}}


def _row(plain: PlainStream, spec: Spec, move: Move) -> Row:
    newest = plain.newest
    row = Row(FIRST_STEP, value_of(move.value), exog_of(spec, move.value))
    if newest is None:
        return row
    there = plain.rows[move.far % len(plain.rows)]
    match move.kind:
        case "again":
            return there
        case "conflict":
            return there._replace(y=1.0 if there.y is None else there.y + 1.0)
        case "late":
            return row._replace(step=newest - 1 - move.far % 6)
        case "skip":
            return row._replace(step=newest + 2 + move.far)
        case _:
            return row._replace(step=newest + 1)


def _check_outcomes(expected: Sequence[Outcome], found: Sequence[Outcome]) -> None:
    said = [each._replace(steps=0, stored=_known(each.stored)) for each in found]
    assert said == list(expected), (said, expected)


def _known(y: float | None) -> float | None:
    return None if y is None or np.isnan(y) else y
