"""What a batch would do to the streams of one version, before any of it is done."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import torch

from models.state import State
from service.slots import Loaded
from service.streams.batch import Course, Turn, judged
from service.streams.compute import compute
from service.streams.jobs import Job
from service.streams.judge import Stored
from service.streams.resident import Resident
from store.append import Append

_INLINE_STEPS = 512
"""Steps of one stream in a batch. What is longer would keep the event loop from all others: it is
appended as it is, and the stream then rebuilt from the log."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Streams judged and computed.

    inline: those whose new states, in that order, are `states`. aside: those whose log grows first
    and whose state is then rebuilt from it. unfit: those of which no finite numbers came; nothing
    of them is appended.
    """

    loaded: Loaded
    inline: Sequence[Course]
    states: State | None
    aside: Sequence[Course]
    unfit: Sequence[Course]

    @property
    def courses(self) -> Sequence[Course]:
        """The streams that go on."""
        return (*self.inline, *self.aside)

    def show(self, moved: frozenset[int]) -> None:
        """Put the new states in place, but for the streams in `moved`."""
        rows = [
            row
            for row, course in enumerate(self.inline)
            if course.judge.stretches and course.stream.id not in moved
        ]
        if self.states is None or not rows:
            return
        whole = len(rows) == len(self.inline)
        states = self.states if whole else self.states.take(torch.tensor(rows))
        streams = [self.inline[row].stream for row in rows]
        streams[0].arena.scatter([stream.row for stream in streams], states)
        for row, stream in zip(rows, streams, strict=True):
            stream.head = self.inline[row].judge.head


def attempt(
    loaded: Loaded,
    jobs: Mapping[Resident, Sequence[Job]],
    stored: Mapping[int, Stored],
    now: int,
    listened: Container[int],
) -> Attempt:
    """Judge and compute the jobs of streams that are in memory for `loaded`.

    stored: what the log has at times before each stream's newest. listened: streams of which every
    observation's forecast is wanted. now: milliseconds since 1970.
    """
    turns = {
        stream: [_turn(job, every=stream.id in listened) for job in its]
        for stream, its in jobs.items()
    }
    courses = judged(loaded, turns, stored, now)
    inline = [course for course in courses if _is_short(course)]
    aside = [course for course in courses if not _is_short(course)]
    if not inline:
        return Attempt(loaded, (), None, aside, ())
    computed = compute(loaded, inline)
    if computed.sound.all():
        return Attempt(loaded, inline, computed.states, aside, ())
    rows = torch.from_numpy(computed.sound).nonzero()[:, 0]
    sound = [inline[row] for row in rows.tolist()]
    unfit = [course for course, fine in zip(inline, computed.sound, strict=True) if not fine]
    return Attempt(loaded, sound, computed.states.take(rows), aside, unfit)


def append_of(course: Course) -> Append:
    """What a stream's log is to be given; without rows it asks whether the log is as known."""
    head, judge = course.stream.head, course.judge
    return Append(
        stream=course.stream.id,
        tail_seq=head.tail_seq,
        late_seq=head.late_seq,
        opened=course.stream.options.opened,
        ds=judge.ds,
        y=judge.y,
        exog=judge.exog if course.stream.loaded.spec.exog_size else None,
        first_late=judge.first_late,
    )


def _turn(job: Job, *, every: bool) -> Turn:
    return Turn(job.arrival, job.wants, every, job.futr, list(job.outcomes))


def _is_short(course: Course) -> bool:
    if course.judge.first_late is not None:
        return False
    return sum(stretch.count for stretch in course.judge.stretches) <= _INLINE_STEPS
