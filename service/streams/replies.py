"""From a batch that is done to what its requesters and its streams' listeners are told."""

from __future__ import annotations

from collections.abc import Sequence

from service.streams.arrival import Kind
from service.streams.batch import Course, Turn, Values
from service.streams.feeds import Event
from service.streams.jobs import Reply


def reply_of(course: Course, turn: Turn) -> Reply:
    """What one job is answered, as the log was after it and before the jobs that followed."""
    stream = course.stream
    head = stream.head if turn.head is None else turn.head
    values = turn.values[-1] if turn.wants and turn.values else None
    return Reply(stream.id, stream.loaded, stream.options, head, turn.outcomes, values)


def events_of(course: Course) -> Sequence[Event]:
    """An event for each observation that was applied, where each one's forecast was made.

    None where the sender told of the future: an event knows nothing of it, whoever makes it.
    """
    stream = course.stream
    return [
        # a copy, because a row keeps its whole batch in memory
        Event(stream.key, stream.loaded, outcome, outcome.ds, _own(values))
        for turn in course.turns
        if turn.every and turn.stretches and turn.futr is None
        for outcome, values in zip(
            (each for each in turn.outcomes if each.kind is Kind.APPLIED), turn.values, strict=False
        )
    ]


def _own(values: Values | None) -> Values | None:
    return None if values is None else values.copy()
