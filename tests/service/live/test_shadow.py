"""A challenger's forecasts held against what the champion's were held against."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.live import shadow, walk
from service.live.scorer import SAMPLE_EVERY
from service.slots import Loaded
from service.streams.arrival import Kind
from store.database import Database
from store.settings import Settings
from tests.service.live.by_hand import LEVELS, assert_equal, scores
from tests.service.live.shadowing import DAMAGED, Stage, stage
from tests.service.live.test_scorer import observe, opened, scored, values
from tests.service.streams.plain import PlainStream, Row
from tests.service.streams.versions import SPECS, load, tiny

Run = Callable[[Callable[[Stage, PlainStream], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=["counted", "hourly"])
def pair(versions: dict[str, list[Loaded]], request: pytest.FixtureRequest) -> list[Loaded]:
    """The champion and the challenger."""
    return versions[request.param]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look leaves nothing, however slow the machine is."""
    monkeypatch.setattr(shadow, "_BUSY_SECONDS", 60.0)


@pytest.fixture
def run(stored: Database, tmp_path: Path, pair: list[Loaded]) -> Run:
    """run(body) runs body(a stage, a new stream that may have 10 steps late)."""

    def run(body: Callable[[Stage, PlainStream], Coroutine[Any, Any, None]]) -> None:
        async def work() -> None:
            async with stage(stored, tmp_path, pair) as made:
                plain = await opened(made.replica, pair[0], rewind=10)
                await made.shadow.look()
                await body(made, plain)

        asyncio.run(work())

    return run


class Said:
    """A log that keeps its warnings: the one of a process may be closed to them by now."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def info(self, *_: object, **__: object) -> None:
        """Nothing to keep."""

    def warning(self, event: str, **_: object) -> None:
        """Keep it."""
        self.warnings.append(event)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    """What the shadow warns of."""
    made = Said()
    monkeypatch.setattr(shadow, "log", made)
    return made


async def send(
    made: Stage, plain: PlainStream, steps: range, *, wants: bool = True, missing: int = 0
) -> int:
    """Observations one by one; the stream's id."""
    stream = 0
    for step, y in zip(steps, values(len(steps), missing=missing), strict=True):
        stream = (await observe(made.replica, plain, [step], [y], wants=wants)).id
    await scored(made.replica)
    return stream


def test_a_challenger_is_scored_as_by_hand_on_what_the_champion_was(
    run: Run, pair: list[Loaded]
) -> None:
    first, second = pair

    async def body(made: Stage, plain: PlainStream) -> None:
        stream = 0
        for begin in (0, 7, 30, 31):
            end = {0: 7, 7: 30, 30: 31, 31: 80}[begin]
            stream = await send(made, plain, range(begin, end), missing=9)
            await made.shadow.look()
        expected = scores(first, plain, range(1, 81), stream, shadow=second)
        assert (len(expected[1]), len(expected[3])) > (30, 12)
        totals = made.replica.tally.totals
        assert_equal(totals, second, expected, rtol=1e-5)
        assert_equal(totals, first, scores(first, plain, range(1, 81), stream))
        for lead in (1, 2, 3):
            beside = made.shadow.beside[second.task, second.version, lead]
            assert beside[:5] == pytest.approx(totals[first.task, first.version, lead][:5])
        fed = {version for _, version, _, _ in made.replica.tally.take().blocks}
        assert fed == {first.version}

    run(body)


def test_forecasts_that_were_only_sampled_are_too(run: Run, pair: list[Loaded]) -> None:
    first, second = pair

    async def body(made: Stage, plain: PlainStream) -> None:
        stream = await send(made, plain, range(200), wants=False)
        await made.shadow.look()
        due = [seq for seq in range(1, 201) if (seq + stream) % SAMPLE_EVERY == 0]
        expected = scores(first, plain, due, stream, shadow=second)
        assert len(expected[1]) >= 3
        assert_equal(made.replica.tally.totals, second, expected, rtol=1e-5)

    run(body)


def test_late_and_duplicate_observations_and_restarts_count_nothing_twice(
    run: Run, pair: list[Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    monkeypatch.setattr(walk, "_KEPT", 2)  # and so the way back is gone as well

    async def body(made: Stage, plain: PlainStream) -> None:
        await send(made, plain, range(20))
        await made.shadow.look()
        await send(made, plain, range(22, 30))
        for step in (20, 21):
            reply = await observe(
                made.replica, plain, [step], [90.0], wants=True, kind=Kind.REWOUND
            )
            plain.take(Row(step, 90.0))
            for kind, y in ((Kind.DUPLICATE, 90.0), (Kind.CONFLICT, 91.0)):
                await observe(made.replica, plain, [step], [y], wants=True, kind=kind)
        await scored(made.replica)
        await made.shadow.look()
        await made.begun().look()
        await send(made, plain, range(30, 50))
        await made.shadow.look()
        await made.shadow.look()
        made.told = [each for each in made.told if reply.id in each.streams]
        assert made.scored(second) == made.scored(first)
        assert made.scored(second)[0] > 30
        losses = dict.fromkeys((1, 2, 3), 0.0)
        for each in made.told:
            forecast = plain.forecast(second, int(each.origins[0]))
            assert forecast is not None
            error = each.truth[0] - forecast[each.lead - 1]
            pinball = np.maximum(np.multiply(LEVELS, error), np.multiply(LEVELS, error) - error)
            losses[each.lead] += float(pinball.mean() / each.scales[0])
        for lead, loss in losses.items():
            sums = made.replica.tally.totals[second.task, second.version, lead]
            assert sums[3] == pytest.approx(loss, rel=1e-5)

    run(body)


def test_a_challenger_that_cannot_be_loaded_hurts_nobody_and_is_said_once(
    run: Run, pair: list[Loaded], monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    monkeypatch.setattr(shadow, "_RETRY_SECONDS", 0.0)

    async def body(made: Stage, plain: PlainStream) -> None:
        for count, name in enumerate((DAMAGED, "77"), start=1):
            made.name(pair[0], name)
            for _ in range(3):
                await made.shadow.look()
            assert said.warnings == ["challenger not shadowed"] * count
        await send(made, plain, range(20))
        await made.shadow.look()
        assert made.scored(pair[0])[0] > 10
        assert {version for _, version, _ in made.replica.tally.totals} == {pair[0].version}

    run(body)


def test_it_ends_when_the_alias_moves_and_never_doubles_a_champion(
    run: Run, pair: list[Loaded]
) -> None:
    first, second = pair

    async def body(made: Stage, plain: PlainStream) -> None:
        await send(made, plain, range(20))
        await made.shadow.look()
        before = made.scored(second)
        assert before == made.scored(first)
        await send(made, plain, range(20, 30))
        made.name(first, None)
        await made.shadow.look()
        await send(made, plain, range(30, 35))
        await made.shadow.look()
        assert made.scored(second) == before  # what waited is gone with it
        made.name(first, second.version)
        await made.shadow.look()
        await send(made, plain, range(35, 40))
        made.name(second, second.version)  # promoted before what waits was looked at
        await made.shadow.look()
        assert made.scored(second) == before
        await send(made, plain, range(40, 50))
        await made.shadow.look()
        served = [int(each.measured.scaled_error.size) for each in made.told if each.lead == 1]
        assert made.scored(second)[0] - before[0] + made.scored(first)[0] == sum(served)

    run(body)


def test_what_is_too_far_behind_is_skipped_and_said_once(
    run: Run, pair: list[Loaded], monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    monkeypatch.setattr(shadow, "_WAITING", 10)

    async def body(made: Stage, plain: PlainStream) -> None:
        await send(made, plain, range(50))
        assert said.warnings == ["challenger left behind"]
        await made.shadow.look()
        assert sum(made.scored(pair[1])) == 10

    run(body)


def test_a_fault_of_ours_costs_scores_and_nothing_else(
    run: Run, pair: list[Loaded], monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    async def body(made: Stage, plain: PlainStream) -> None:
        await send(made, plain, range(20))
        with monkeypatch.context() as patch:
            patch.setattr(shadow, "_RETRY_SECONDS", 0.0)
            patch.setattr(walk.Walk, "after", lambda *_: 1 / 0)
            await made.shadow.look()
            await send(made, plain, range(20, 24))
            await made.shadow.look()
        assert said.warnings == ["challenger not shadowed"]
        await send(made, plain, range(24, 40))
        await made.shadow.look()
        assert 0 < made.scored(pair[1])[0] < made.scored(pair[0])[0]

    run(body)


def test_at_most_so_many_streams_are_shadowed(
    stored: Database, tmp_path: Path, versions: dict[str, list[Loaded]]
) -> None:
    task = "few"
    pair = [replace(each, task=task) for each in versions["counted"]]

    async def work() -> None:
        async with stage(stored, tmp_path, pair) as made:
            streams = [await opened(made.replica, pair[0]) for _ in range(5)]
            await made.begun(2).look()
            for plain in streams:
                await send(made, plain, range(20))
            await made.shadow.look()
            assert made.scored(pair[1])[0] * 5 == made.scored(pair[0])[0] * 2

    asyncio.run(work())


@pytest.mark.parametrize("other", ["hourly", "future"])
def test_what_cannot_be_compared_is_not(
    stored: Database, tmp_path: Path, versions: dict[str, list[Loaded]], other: str, said: Said
) -> None:
    spec = SPECS["hourly"][0]
    if other == "future":
        spec = tiny(timeline=SPECS["counted"][0].timeline, futr_exog=("price",))
    second = load(tmp_path / "made", "counted", spec, version="2")

    async def work() -> None:
        async with stage(stored, tmp_path, [versions["counted"][0], second]) as made:
            await made.shadow.look()
            assert said.warnings == ["challenger not shadowed"]

    asyncio.run(work())


def test_none_is_shadowed_by_default() -> None:
    assert Settings().shadow_streams == 0
