"""A batch in rounds gives each stream what it would have had one step at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.state import State
from service.slots import Loaded
from service.streams.arena import Arena
from service.streams.arrival import Arrival, Kind
from service.streams.batch import Turn, Values, judged
from service.streams.compute import compute
from service.streams.covariates import write_covariates
from service.streams.head import Head, Options, young
from service.streams.resident import Resident
from tests.service.streams.driving import exog_of, value_of
from tests.service.streams.plain import PlainStream, Row, assert_same, holidays_of, number_of

MAX_GAP = 3
FUTR = np.array([[0.5], [np.nan], [2.0]], np.float32)


class Asked(NamedTuple):
    """An arrival: how many steps each observation lies after the one before it."""

    steps: list[int]
    wants: bool
    every: bool
    futr: bool


askeds = st.builds(
    Asked,
    st.lists(st.sampled_from([1, 1, 1, 2, 4, 5, 9]), max_size=4),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
batches = st.lists(
    st.tuples(st.integers(0, 9), st.lists(askeds, min_size=1, max_size=3)), min_size=1, max_size=5
)


def stepped(loaded: Loaded, plain: PlainStream) -> State:
    """The state after a log, one step after the other."""
    spec, forecaster = loaded.spec, loaded.forecaster
    segment = {row.step: row for row in plain.segment(spec, len(plain.rows))}
    state = forecaster.initial_state(1, torch.tensor([plain.stat]).reshape(1, -1))
    if not segment:
        return state
    names = spec.hist_exog + spec.futr_exog
    with torch.inference_mode():
        for step in range(min(segment), max(segment) + 1):
            row = segment.get(step, Row(step, None, (None,) * len(names)))
            clock = np.array([number_of(spec, step)], np.int64).astype("M8[us]")
            calendar = (
                np.ravel(spec.timeline.calendar(clock, spec.calendar)) if spec.calendar else ()
            )
            free = holidays_of(spec, range(step, step + 1))[0] if spec.holidays else ()
            exog = np.concatenate([calendar, np.array(row.exog, np.float32), free])
            y = torch.tensor([np.nan if row.y is None else row.y], dtype=torch.float64)
            state = forecaster.advance(state, y, torch.from_numpy(exog.astype(np.float32))[None])
    return state


def resident(loaded: Loaded, arena: Arena, plain: PlainStream) -> Resident:
    """A stream in memory as its log leaves it, made without the code under test."""
    head = young(0)
    if plain.rows:
        seq = len(plain.rows)
        ds, start, steps = plain.head(loaded.spec, seq)
        y = plain.segment(loaded.spec, seq)[-1].y
        head = Head(
            ds, np.nan if y is None else y, None, seq, 0, start, steps, exact=True, received=0
        )
    row = arena.take()
    arena.scatter([row], stepped(loaded, plain))
    name = plain.unique_id
    options = Options(0, 0, MAX_GAP, None)
    return Resident(int(name), ("t", name), options, loaded, arena, row, head, 0)


def turn_of(loaded: Loaded, plain: PlainStream, asked: Asked) -> tuple[Turn, list[Values | None]]:
    """A turn, whose rows the plain stream takes, and the forecasts that it is to have."""
    spec = loaded.spec
    names = spec.hist_exog + spec.futr_exog
    futr = FUTR if asked.futr and spec.futr_exog else None
    rows: list[Row] = []
    expected: list[Values | None] = []
    for far in asked.steps:
        step = (-1 if plain.newest is None else plain.newest) + far
        rows.append(Row(step, value_of(step * 3), exog_of(spec, step)))
        assert plain.observe(spec, rows[-1]).kind is Kind.APPLIED
        if asked.every:
            expected.append(plain.forecast(loaded, len(plain.rows), futr))
    if asked.wants and not (asked.every and rows):
        expected.append(plain.forecast(loaded, len(plain.rows), futr))
    exog = None
    if names:
        exog = [write_covariates(dict(zip(names, row.exog, strict=True))) or "{}" for row in rows]
    ds = [number_of(spec, row.step) for row in rows]
    y = [np.nan if row.y is None else row.y for row in rows]
    return Turn(Arrival(plain.unique_id, ds, y, exog), asked.wants, asked.every, futr), expected


@pytest.mark.parametrize("task", ["counted", "hourly", "covariates"])
@given(batch=batches)
def test_rounds_are_steps(
    versions: dict[str, list[Loaded]], task: str, batch: list[tuple[int, list[Asked]]]
) -> None:
    loaded = versions[task][0]
    spec = loaded.spec
    arena = Arena(loaded.forecaster, 10)
    plains: list[PlainStream] = []
    turns: dict[Resident, list[Turn]] = {}
    expected: list[list[Values | None]] = []
    for number, (begun, its) in enumerate(batch):
        plain = PlainStream(task, str(number), max_gap=MAX_GAP, stat=(1.5,) * len(spec.stat_exog))
        plain.hold([Row(k, value_of(k + number), exog_of(spec, k)) for k in range(begun)])
        plains.append(plain)
        stream = resident(loaded, arena, plain)
        made = [turn_of(loaded, plain, asked) for asked in its]
        turns[stream] = [turn for turn, _ in made]
        expected += [values for _, values in made]
    before = arena.gather(range(len(batch)))
    courses = judged(loaded, turns, {}, 0)
    computed = compute(loaded, courses)
    assert computed.sound.all()
    found = [turn.values for its in turns.values() for turn in its]
    for values, wanted in zip(found, expected, strict=True):
        for one, other in zip(values, wanted, strict=True):
            assert_same(one, other)
    for place, plain in enumerate(plains):
        state = stepped(loaded, plain)
        row = computed.states.take(slice(place, place + 1))
        torch.testing.assert_close(row.memory, state.memory, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(row.ring, state.ring, equal_nan=True)
        head = courses[place].judge.head
        assert (head.ds, head.start, head.steps) == plain.head(spec, len(plain.rows))
    after = arena.gather(range(len(batch)))
    assert torch.equal(before.memory, after.memory)  # nothing is shown before it is durable
