"""A batch of arrivals for one version: each stream's turns, and what the rules make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.slots import Loaded
from service.streams.arrival import Arrival, Kind, Outcome
from service.streams.head import Head
from service.streams.judge import Judge, Stored, Stretch
from service.streams.resident import Resident
from service.streams.stamps import base_of, placed

Values = NDArray[np.float64]


@dataclass(eq=False, slots=True)
class Turn:
    """One arrival's turn within a batch.

    wants: whether a forecast is to be made after it; every: one after each observation.
    futr: (horizon, n_futr) float32, the known future, for the forecast.
    values: the forecasts made, each (horizon, outputs), None where nothing has been observed.
    head: where the log ends after it, None where its batch brings nothing new.
    """

    arrival: Arrival
    wants: bool
    every: bool = False
    futr: NDArray[np.float32] | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    values: list[Values | None] = field(default_factory=list)
    head: Head | None = None


@dataclass(eq=False, slots=True)
class Course:
    """A stream's way through a batch."""

    stream: Resident
    turns: list[Turn]
    judge: Judge


def judged(
    loaded: Loaded,
    turns: Mapping[Resident, list[Turn]],
    stored: Mapping[int, Stored],
    now: int,
) -> list[Course]:
    """Judge every observation of a batch. stored: by stream id, what the log has at late times."""
    timeline = loaded.spec.timeline
    courses = []
    bases: list[int] = []
    ds: list[int] = []
    for stream, its in turns.items():
        head = stream.head
        base = head.start
        if head.ds is None:
            base = base_of(timeline, [each for turn in its for each in turn.arrival.ds])
        judge = Judge(head, stream.options, stored.get(stream.id, {}), base)
        courses.append(Course(stream, its, judge))
        for turn in its:
            bases += [base] * len(turn.arrival)
            ds += turn.arrival.ds
    if not ds:
        return courses
    kept, positions, on_grid = placed(timeline, bases, ds)
    places = iter(zip(kept, positions.tolist(), on_grid.tolist(), strict=True))
    for course in courses:
        for turn in course.turns:
            _judge(course.judge, turn, [next(places) for _ in turn.arrival.ds], now)
    return courses


def _judge(judge: Judge, turn: Turn, places: Sequence[tuple[int, int, bool]], now: int) -> None:
    arrival = turn.arrival
    texts = arrival.exog
    before = len(judge.stretches)
    for index, (ds, position, on_grid) in enumerate(places):
        if on_grid:
            text = None if texts is None else texts[index]
            outcome = judge.observe(ds, position, arrival.y[index], text, now)
        else:
            outcome = Outcome(Kind.ASTRAY, ds)
        turn.outcomes.append(outcome)
    turn.stretches = judge.stretches[before:]
    turn.head = judge.head
