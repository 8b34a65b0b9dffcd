"""From a judged batch to the states and forecasts that follow. Nothing is changed yet.

What a batch would do is a value: it is appended to the log first, and only then put in the arena.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.context import put_clock
from models.replay import advanced
from models.spec import Spec
from models.state import State
from service.slots import Loaded
from service.streams.batch import Course, Turn, Values
from service.streams.covariates import known_ahead, read_covariates
from service.streams.judge import Judge, Stretch
from service.streams.stamps import clock_of


@dataclass(frozen=True, slots=True)
class Computed:
    """States after a batch, in the order of its courses, and whether each is sound (n,)."""

    states: State
    sound: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Leg:
    """Stretches without a stop, and the turn that wants a forecast at their end, if one does."""

    judge: Judge
    stretches: tuple[Stretch, ...]
    turn: Turn | None

    @property
    def steps(self) -> int:
        return sum(stretch.count for stretch in self.stretches)

    @property
    def newest(self) -> int | None:
        """The time of the newest observation at its end, None where there is none."""
        if self.stretches:
            return self.judge.ds[self.stretches[-1].index]
        if self.turn is None:
            return None
        head = self.judge.head if self.turn.head is None else self.turn.head  # of a batch of reads
        return head.ds


def compute(loaded: Loaded, courses: Sequence[Course]) -> Computed:
    """The states that follow, and into each turn the forecasts that it wants.

    Rounds: in each, every stream goes to its next stop (where a forecast is wanted, where it begins
    anew, or its end), all of them in one call of the forecaster.
    """
    legs = [_legs(course) for course in courses]
    sound = np.ones(len(courses), bool)
    with torch.inference_mode():
        states = courses[0].stream.arena.gather([course.stream.row for course in courses])
        for number in range(max(map(len, legs))):
            rows = [row for row, its in enumerate(legs) if len(its) > number]
            current = [legs[row][number] for row in rows]
            whole = len(rows) == len(courses)
            part = states if whole else states.take(torch.tensor(rows))
            part, fine = _round(loaded, current, part)
            sound[rows] &= fine
            states = part if whole else _put(states, rows, part)
        if not bool(states.memory.isfinite().all()):
            sound &= states.memory.isfinite().flatten(1).all(1).numpy()
    return Computed(states, sound)


def _legs(course: Course) -> list[_Leg]:
    legs: list[_Leg] = []
    going: list[Stretch] = []

    def stop(turn: Turn | None) -> None:
        legs.append(_Leg(course.judge, tuple(going), turn))
        going.clear()

    for turn in course.turns:
        for place, stretch in enumerate(turn.stretches, start=1):
            if stretch.anew and going:
                stop(None)
            going.append(stretch)
            if turn.every and place < len(turn.stretches):
                stop(turn)
        if turn.wants or (turn.every and turn.stretches):
            stop(turn)
    if going:
        stop(None)
    return legs


def _round(
    loaded: Loaded, legs: Sequence[_Leg], states: State
) -> tuple[State, NDArray[np.bool_] | bool]:
    """The states after one leg each, and whether their forecasts are sound."""
    forecaster, spec = loaded.forecaster, loaded.spec
    if anew := [i for i, leg in enumerate(legs) if leg.stretches and leg.stretches[0].anew]:
        stat = states.stat[anew]
        states = _put(states, anew, forecaster.initial_state(len(anew), stat))
    counts = [leg.steps for leg in legs]
    y, exog = _steps(spec, legs, sum(counts))
    asking = [i for i, leg in enumerate(legs) if leg.turn is not None]
    futr = _futr(spec, [legs[i] for i in asking])
    given = torch.from_numpy(y), torch.from_numpy(exog)
    once = max(counts) == min(counts) == 1
    if once and len(asking) == len(legs):
        states, values = loaded.stepper.step(states, *given, futr)
        return states, _hand_out(legs, asking, states, values)
    if once and not asking:
        return loaded.stepper.advance(states, *given), True
    if len(y):
        cuts = np.cumsum(counts)[:-1]
        states = advanced(forecaster, states, np.split(y, cuts), np.split(exog, cuts))
    if not asking:
        return states, True
    asked = states if len(asking) == len(legs) else states.take(torch.tensor(asking))
    return states, _hand_out(legs, asking, states, loaded.stepper.forecast(asked, futr))


def _hand_out(
    legs: Sequence[_Leg], asking: Sequence[int], states: State, values: torch.Tensor
) -> NDArray[np.bool_] | bool:
    """Give the turns their forecasts (k, horizon, outputs); whether each row is sound."""
    numbers: Values = values.numpy()
    finite = bool(values.isfinite().all())
    sound = np.ones(len(legs), bool)
    for row, value in zip(asking, numbers, strict=True):
        turn = legs[row].turn
        if turn is None:
            continue
        made: Values | None = value
        if not finite and not np.isfinite(value).all():
            made = None
            # a window without any observation has no scale; that is no fault of the numbers
            sound[row] = bool(states.ring[row].isnan().all())
        turn.values.append(made)
    return True if finite else sound


def _steps(
    spec: Spec, legs: Sequence[_Leg], total: int
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Values (total,) and covariates (total, X) of the steps of all legs, one after the other."""
    pairs = [(leg.judge, stretch) for leg in legs for stretch in leg.stretches]
    observed = [judge.y[stretch.index] for judge, stretch in pairs]
    if len(pairs) == total:
        y = np.array(observed, np.float64)
        lasts = np.arange(total)
    else:
        y = np.full(total, np.nan)
        lasts = np.cumsum([stretch.count for _, stretch in pairs]) - 1
        y[lasts] = observed
    exog = np.full((total, spec.exog_size), np.nan, np.float32)
    if spec.reads_clock and total:
        counts = [stretch.count for _, stretch in pairs]
        bases = np.repeat(np.array([stretch.base for _, stretch in pairs]), counts)
        ends = np.array([stretch.first + stretch.count - 1 for _, stretch in pairs])
        places = np.repeat(ends - lasts, counts) + np.arange(total)
        clock = spec.timeline.at(clock_of(spec.timeline, bases), places)
        put_clock(spec, clock, exog)
    if names := spec.hist_exog + spec.futr_exog:
        first = 2 * len(spec.calendar)
        texts = [judge.exog[stretch.index] for judge, stretch in pairs]
        exog[lasts, first : first + len(names)] = read_covariates(texts, names)
    return y, exog


def _futr(spec: Spec, legs: Sequence[_Leg]) -> torch.Tensor | None:
    """(k, horizon, n_futr) the known futures, NaN where none is."""
    if not spec.n_futr:
        return None
    futr = known_ahead(spec, [leg.newest for leg in legs])
    for row, leg in enumerate(legs):
        if leg.turn is not None and leg.turn.futr is not None:
            futr[row, :, : len(spec.futr_exog)] = leg.turn.futr
    return torch.from_numpy(futr)


def _put(states: State, rows: Sequence[int], part: State) -> State:
    """`states` with those of `rows` exchanged for `part`: a new value."""
    index = torch.tensor(rows)
    return State(
        states.ring.index_copy(0, index, part.ring),
        states.memory.index_copy(0, index, part.memory),
        states.stat.index_copy(0, index, part.stat),
    )
