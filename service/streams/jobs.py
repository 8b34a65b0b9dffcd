"""Requests on their way through the engine: a job for each stream that one concerns."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.problems import ProblemError, busy
from service.slots import Loaded
from service.streams import refusals
from service.streams.arrival import Arrival, Outcome
from service.streams.batch import Values
from service.streams.head import Head, Options
from store.streams import Key

_MOST_OF_ONE = 64
"""Requests of one stream that may be unanswered."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of one stream's arrival.

    outcomes: one an observation. head: the log's end afterwards. values: the forecast (horizon,
    outputs), None where none was wanted, or nothing has been observed that one could be made from.
    """

    id: int
    loaded: Loaded
    options: Options
    head: Head
    outcomes: Sequence[Outcome]
    values: Values | None

    @property
    def warming(self) -> bool:
        """Whether the window is not yet filled."""
        return self.head.steps < self.loaded.spec.input_size

    def with_outcomes(self, outcomes: Sequence[Outcome]) -> Reply:
        """The same for an arrival that this one is the last part of."""
        return replace(self, outcomes=outcomes)


@dataclass(eq=False, slots=True)
class Request:
    """What one caller waits for. gone: nobody waits any more."""

    done: asyncio.Future[None]
    left: int
    gone: bool = False

    def give_up(self) -> None:
        """Wait no longer for what has not been answered."""
        if not self.done.done():
            self.done.set_exception(refusals.unanswered())

    def settle(self) -> None:
        """One job less to wait for."""
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)


@dataclass(eq=False, slots=True)
class Job:
    """An arrival, and what is wanted after it.

    deadline: of the event loop's clock; past it the job is not begun. outcomes: of observations
    that are in the log already while the forecast after them is still to be made. leave: called
    when it has been answered.
    """

    key: Key
    arrival: Arrival
    request: Request
    deadline: float
    wants: bool
    futr: NDArray[np.float32] | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    reply: Reply | ProblemError | None = None
    leave: Callable[[], None] = lambda: None

    def alone(self, index: int, done: asyncio.Future[None], *, begun: bool) -> Job:
        """A job of one of the observations. done: of who waits for it; begun: there is no way
        back."""
        one, deadline = self.arrival.one(index), math.inf if begun else self.deadline
        part = Job(self.key, one, Request(done, 1), deadline, self.wants, self.futr)
        part.outcomes = list(self.outcomes)
        return part

    def settle(self, reply: Reply | ProblemError) -> None:
        """Answer, once."""
        if self.reply is None:
            self.reply = reply
            self.leave()
            self.request.settle()


@dataclass(slots=True)
class Queue:
    """Jobs that wait, in the order of their coming; bounded in all and for each stream.

    observations: those that have not been answered, be it that they wait, here or for their stream
    to come to memory, or that they are being worked on.
    """

    most: int
    observations: int = 0
    _jobs: deque[Job] = field(default_factory=deque)
    _of: Counter[Key] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self._jobs)

    def admit(self, jobs: Sequence[Job]) -> None:
        """Let a request's jobs wait. Raises 429 or 503 where they would be too many."""
        count = sum(len(job.arrival) for job in jobs)
        if self.observations and self.observations + count > self.most:
            raise busy("too many observations are waiting")
        if any(self._of[job.key] >= _MOST_OF_ONE for job in jobs):
            raise refusals.crowded()
        for job in jobs:
            self._jobs.append(job)
            self._of[job.key] += 1
            job.leave = partial(self._left, job.key, len(job.arrival))
        self.observations += count

    def put_back(self, jobs: Iterable[Job]) -> None:
        """Let jobs that were taken wait again, before all others."""
        self._jobs.extendleft(reversed(list(jobs)))

    def take(self, most: int) -> list[Job]:
        """The next jobs, of at most `most` observations together, or one."""
        taken: list[Job] = []
        count = 0
        while self._jobs:
            job = self._jobs[0]
            count += max(1, len(job.arrival))
            if taken and count > most:
                break
            taken.append(self._jobs.popleft())
        return taken

    def _left(self, key: Key, count: int) -> None:
        self.observations -= count
        self._of[key] -= 1
        if not self._of[key]:
            del self._of[key]
