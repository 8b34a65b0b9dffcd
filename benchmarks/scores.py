"""Live scores: what scoring adds to the cost of observations.

    python -m benchmarks scores

takes about a minute and trains nothing (the forecaster is that of `benchmarks.streams`). An engine
without HTTP and disk, and so the dearest case; the time within the scorer is set against all the
processor time that the process took besides.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch

from benchmarks.http import reference
from models.bundle import read_bundle
from models.timeline import Timeline
from service.live.scorer import Scorer
from service.live.tally import Tally
from service.problems import ProblemError
from service.slots import Loaded, Slot, Slots
from service.streams.arrival import Arrival
from service.streams.batch import Course
from service.streams.engine import Engine
from service.streams.feeds import Feeds
from service.streams.keeper import Keeper
from service.streams.opening import Streams
from store.migrate import opened
from tests.service.registries import write

_HOUR = 3_600_000_000  # microseconds
_TURNS = 12


class _Timed(Scorer):
    """Knows how long it took."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(tally)
        self.seconds = 0.0

    def seen(self, loaded: Loaded, courses: Sequence[Course], now: int) -> None:
        """Score, by the clock of the processor."""
        began = time.thread_time()
        super().seen(loaded, courses, now)
        self.seconds += time.thread_time() - began


def main() -> None:
    """Print a line a way of sending."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        timeline = Timeline(kind="time", freq="h")
        write(
            Path(scratch, "bundle"),
            reference("gru", timeline, ("hour_of_day", "day_of_week")),
        )
        loaded = Loaded("bench", "1", "", *read_bundle(Path(scratch, "bundle")))
        for streams, steps, wants in (
            (1_000, 1, False),
            (100, 10, False),
            (1_000, 1, True),
            (64, 1, True),
        ):
            asked = "with forecasts" if wants else "no forecast asked for"
            print(f"  {streams} streams x {steps}, {asked}: ", end="", flush=True)
            print(asyncio.run(_measure(loaded, streams, steps, wants=wants)))


async def _measure(loaded: Loaded, streams: int, steps: int, *, wants: bool) -> str:
    slots, feeds, keeper = Slots(), Feeds(), Keeper(opened("sqlite://"))
    slots.put(Slot(loaded.task, loaded))
    scorer = _Timed(Tally())
    engine = Engine(slots, keeper, feeds, scorer, most_resident=10_000, most_waiting=10**6)
    names = [f"{i}" for i in range(streams)]
    await Streams(engine, keeper, feeds).open_all(loaded, names)
    await _post(engine, names, range(192), wants=False)
    begin, rounds = 192, max(2, 4_000 // (streams * steps))
    besides: list[float] = []
    within: list[float] = []
    for _ in range(_TURNS):
        cpu, scored = time.process_time(), scorer.seconds
        for _ in range(rounds):
            await _post(engine, names, range(begin, begin + steps), wants=wants)
            begin += steps
        count = rounds * streams * steps
        within.append(1e6 * (scorer.seconds - scored) / count)
        besides.append(1e6 * (time.process_time() - cpu) / count - within[-1])
    await engine.close(5)
    await keeper.close()
    scores = sum(sums[0] for sums in scorer.tally.totals.values())
    ratio = median(w / b for w, b in zip(within, besides, strict=True))
    return (
        f"{median(besides):.1f} us of processor an observation, and {median(within):.2f} us to"
        f" score it ({ratio:.1%}); {scores:.0f} scores"
    )


async def _post(engine: Engine, names: Sequence[str], steps: range, *, wants: bool) -> None:
    arrivals = [
        Arrival(name, [step * _HOUR for step in steps], [_value(step) for step in steps])
        for name in names
    ]
    for reply in await engine.post("bench", arrivals, wants=wants, seconds=60):
        if isinstance(reply, ProblemError):
            raise reply


def _value(step: int) -> float:
    return 500.0 + step % 24 + (step * 7919 % 101) / 10
