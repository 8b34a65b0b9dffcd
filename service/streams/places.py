"""Where a stream stands when somebody begins to listen to it."""

from __future__ import annotations

from dataclasses import dataclass

from service.parts import Parts
from service.problems import Fault, ProblemError, invalid
from service.streams import refusals
from service.streams.feeds import End
from service.streams.jobs import Reply
from store.errors import StoreError
from store.log import tails
from store.streams import Key, find_streams


@dataclass(frozen=True, slots=True)
class Place:
    """A stream by its id, the events that a listener has seen, and those that there are.

    end: why nothing will follow, where that is so.
    """

    stream: int
    seen: int
    newest: int
    end: End | None = None


async def place_of(
    parts: Parts, key: Key, reply: Reply | ProblemError, after: int | None, *, field: str
) -> Place:
    """Where one begins who has the events up to `after`, or who wants what comes next.

    A stream that was closed still tells what was missed. Raises the reply's problem where nothing
    was, and 422 for an event that the stream has not got; `field` names `after` in it.
    """
    if isinstance(reply, ProblemError):
        if after is None or reply.problem.status != 410:
            raise reply
        place = await _where_it_ended(parts, key, after)
    else:
        newest = reply.head.seq
        resident = parts.engine.residents.get(key)
        if resident is not None:  # it may have gone on while others of the request were loaded
            newest = max(newest, resident.head.seq)
        place = Place(reply.id, newest if after is None else after, newest)
    if place.seen > place.newest:
        reason = f"the stream has no event after {place.newest}"
        raise invalid([Fault(field=field, reason=reason)])
    if isinstance(reply, ProblemError) and place.seen == place.newest:
        raise reply
    return place


async def _where_it_ended(parts: Parts, key: Key, after: int) -> Place:
    try:
        stream = (await parts.keeper.read(find_streams, [key]))[key]
        tail = (await parts.keeper.read(tails, [stream.id]))[stream.id]
    except StoreError as error:
        raise refusals.not_kept(error.reason) from None
    end: End = "expired" if stream.closed is None else "closed"
    return Place(stream.id, after, max(tail.seq, tail.late_seq), end)
