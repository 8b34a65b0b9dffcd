"""Holds forecasts of streams against the observations that follow them.

A forecast waits in its stream's row (`service.live.pending`) until its step is observed, which is
known once the observation is durable. So that streams nobody asks forecasts of are scored as well,
one is made now and then: where the log's length passes a multiple of `SAMPLE_EVERY`.

Only the process that appended an observation scores by it, and an observation is appended once: so
nothing is scored twice, whoever sends it again. What waits is lost with the process, and scored
never.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import structlog
import torch
from numpy.typing import NDArray

from models.spec import Spec
from models.transform import to_data
from service.live.measure import Measured, Ruler
from service.live.pending import Pending
from service.live.tally import Tally
from service.slots import Loaded
from service.streams.attempt import Attempt
from service.streams.batch import Course, Values
from service.streams.covariates import known_ahead
from service.streams.resident import Residents
from service.streams.stamps import clock_of, numbers_of

SAMPLE_EVERY = 48
"""Observations of a stream between two forecasts that are made for scoring alone, and between two
measurements of its scale."""
_RULERS = 256  # versions
_BLOCK_STEPS = 16
_WEEK = 7 * 86_400_000_000  # microseconds
_LONG = 168  # steps of a season that is no longer covered whole, where steps are only counted

log = structlog.get_logger()


class Scored(NamedTuple):
    """Forecasts of one version at one lead that were scored together.

    streams: (n,) ids; origins: (n,) places in their logs after which the forecasts were made.
    truth, scales: (n,) data units. now: milliseconds since 1970.
    """

    loaded: Loaded
    lead: int
    streams: NDArray[np.int64]
    origins: NDArray[np.int64]
    truth: NDArray[np.float64]
    scales: NDArray[np.float64]
    now: int
    measured: Measured


class Scorer:
    """Scores one service's streams into a tally. Only for the event loop's thread.

    tell: is told what was scored, after all that there is to do.
    """

    def __init__(
        self, tally: Tally, tell: Callable[[Sequence[Scored]], None] | None = None
    ) -> None:
        self.tally = tally
        self._tell = tell
        self._rulers: dict[Loaded, tuple[Ruler, int]] = {}

    def after(
        self,
        attempts: Sequence[Attempt],
        moved: frozenset[int],
        residents: Residents,
        now: int,
    ) -> None:
        """Hold forecasts against what is durable now, before anything follows it.

        moved: ids of streams of which nothing was appended. now: milliseconds since 1970.
        """
        for done in attempts:
            courses = [
                course
                for course in done.inline
                if course.stream.id not in moved and course.stream in residents
            ]
            try:
                self.seen(done.loaded, courses, now)
            except Exception:  # a score is worth no observation
                log.exception("forecasts not scored", task=done.loaded.task)

    def seen(self, loaded: Loaded, courses: Sequence[Course], now: int) -> None:
        """Batch done: `courses` are durable and in place in the arena, which is `loaded`'s.

        now: milliseconds since 1970.
        """
        if not courses:
            return
        pending = courses[0].stream.arena.pending
        rows = np.array([course.stream.row for course in courses])
        ids = np.array([course.stream.id for course in courses])
        bases = np.array([course.judge.base for course in courses])
        steps = np.array([_steps(course) for course in courses])
        mine = (pending.stream[rows] == ids) & (pending.start[rows] == bases)
        target = pending.target[rows]
        due = (target > 0) & (target <= steps[:, None]) & mine[:, None]  # (n, leads)
        scored: list[Scored] = []
        if due.any():
            for place in np.flatnonzero(due.any(0)).tolist():
                scored += self._score(loaded, courses, place, due[:, place], now)
            pending.target[rows] = np.where(due, 0, target)
        self._make(loaded, pending, courses)
        if scored and self._tell is not None:
            self._tell(scored)

    def _score(
        self,
        loaded: Loaded,
        courses: Sequence[Course],
        place: int,
        due: NDArray[np.bool_],
        now: int,
    ) -> Sequence[Scored]:
        """Score forecasts of one lead. due: (n,) whose step has come."""
        pending = courses[0].stream.arena.pending
        known = [
            (course.stream.row, *found)
            for course in (courses[i] for i in np.flatnonzero(due).tolist())
            if (found := _truth(course, pending.target.item(course.stream.row, place)))
        ]
        if not known:
            return ()
        row, ds, truth = map(np.array, zip(*known, strict=True))
        ruler, span = self._ruler(loaded, courses[0])
        scales = pending.scales[row, place]
        measured = ruler.measure(truth, pending.values[row, place], scales)
        lead = pending.leads[place]
        self.tally.add((loaded.task, loaded.version, lead), measured, now, ds // span)
        ids, origins = pending.stream[row], pending.origin[row, place]
        return [Scored(loaded, lead, ids, origins, truth, scales, now, measured)]

    def _make(self, loaded: Loaded, pending: Pending, courses: Sequence[Course]) -> None:
        """Let forecasts wait: those that were asked for, and those that are due."""
        spec = loaded.spec
        asked: list[Course] = []
        due: list[Course] = []
        values: list[Values] = []
        for course in courses:
            if course.stream.head.steps < spec.input_size:
                continue
            made = _asked(spec, course)
            if made is not None:
                asked.append(course)
                values.append(made)
            elif not spec.futr_exog and _is_due(course):
                due.append(course)
        if due:
            states = due[0].stream.arena.gather([course.stream.row for course in due])
            futr = None
            if spec.n_futr:
                futr = torch.from_numpy(known_ahead(spec, [c.stream.head.ds for c in due]))
            with torch.inference_mode():
                values += list(loaded.forecaster.forecast(states, futr).numpy())
        if values:
            self._put(loaded, pending, (*asked, *due), values)

    def _put(
        self,
        loaded: Loaded,
        pending: Pending,
        courses: Sequence[Course],
        values: Sequence[Values],
    ) -> None:
        """Let forecasts, each (horizon, outputs), wait where no older one does."""
        heads = [course.stream.head for course in courses]
        rows = np.array([course.stream.row for course in courses])
        ids = np.array([course.stream.id for course in courses])
        starts = np.array([head.start for head in heads])
        steps = np.array([head.steps for head in heads])
        seqs = np.array([head.seq for head in heads])
        others = (pending.stream[rows] != ids) | (pending.start[rows] != starts)
        if others.any():
            pending.target[rows[others]] = 0
            pending.stream[rows], pending.start[rows] = ids, starts
        fresh = others | np.array([_is_due(course) for course in courses])
        if fresh.any():
            arena, (ruler, _) = courses[0].stream.arena, self._ruler(loaded, courses[0])
            with torch.inference_mode():
                window = to_data(arena.gather(rows[fresh].tolist()).ring, loaded.spec)
            pending.scale[rows[fresh]] = ruler.scale(window.numpy())
        scale = pending.scale[rows]
        free = (pending.target[rows] <= steps[:, None]) & np.isfinite(scale)[:, None]
        for place, lead in enumerate(pending.leads):
            if not len(index := np.flatnonzero(free[:, place])):
                continue
            picked = np.array([values[i][lead - 1] for i in index.tolist()])  # (n, outputs)
            if not (sound := np.isfinite(picked).all(1)).all():  # of an empty window nothing comes
                index, picked = index[sound], picked[sound]
            into = rows[index]
            pending.target[into, place] = steps[index] + lead
            pending.origin[into, place] = seqs[index]
            pending.values[into, place] = picked
            pending.scales[into, place] = scale[index]

    def _ruler(self, loaded: Loaded, course: Course) -> tuple[Ruler, int]:
        """A version's ruler, and the length of a block of its time."""
        if loaded not in self._rulers:
            if len(self._rulers) >= _RULERS:
                self._rulers.clear()
            self._rulers[loaded] = Ruler(loaded.spec), _span(loaded.spec, course.judge.base)
        return self._rulers[loaded]


def _steps(course: Course) -> int:
    """The steps that a stream has gone since its judge's base."""
    stretches = course.judge.stretches
    return stretches[-1].first + stretches[-1].count if stretches else course.judge.tail + 1


def _truth(course: Course, step: int) -> tuple[int, float] | None:
    """ds and y of the observation at a step, counted as `_steps` does; None where there is none."""
    judge = course.judge
    place = bisect_left(judge.stretches, step, key=lambda each: each.first + each.count)
    stretch = judge.stretches[place]
    y = judge.y[stretch.index]
    if stretch.first + stretch.count != step or y != y:  # noqa: PLR0124 - NaN: not observed
        return None
    return judge.ds[stretch.index], y


def _asked(spec: Spec, course: Course) -> Values | None:
    """The forecast (horizon, outputs) that was made at the end of a batch, if one was.

    A model that reads the known future is only judged by forecasts that were told of it.
    """
    turn = course.turns[-1]
    if not turn.values:
        return None
    return None if spec.futr_exog and turn.futr is None else turn.values[-1]


def _is_due(course: Course) -> bool:
    """Whether the log's length has passed a multiple, which is another for each stream."""
    fresh = len(course.judge.ds)
    if not fresh:
        return False
    phase = course.stream.head.seq + course.stream.id
    return phase // SAMPLE_EVERY > (phase - fresh) // SAMPLE_EVERY


def _span(spec: Spec, base: int) -> int:
    """How long a block is on the timeline's clock: whole seasons of at least 16 steps together.

    16 steps where a season is longer than a week, or there is none.
    """
    timeline = spec.timeline
    season = spec.season[0] if spec.season else 1

    def long(steps: int) -> int:
        begin = clock_of(timeline, [base])
        return int(numbers_of(timeline.at(begin, np.array([steps])))[0]) - base

    if season > _LONG if timeline.kind == "integer" else long(season) > _WEEK:
        return max(long(_BLOCK_STEPS), 1)
    return max(long(-(-_BLOCK_STEPS // season) * season), 1)
