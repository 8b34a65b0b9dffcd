"""How a request's arrivals go through the engine: some at a time, so that others come between."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from service.problems import ProblemError
from service.slots import Loaded
from service.streams import refusals
from service.streams.arrival import Arrival
from service.streams.engine import Engine
from service.streams.jobs import Reply
from service.streams.opening import Streams

_PART = 1024
"""Observations that wait in the engine together: a batch of its own."""
_AHEAD = 2
"""Parts on their way: one is in work, the next is there when it is done."""

Replies = list[Reply | ProblemError]


async def post(
    engine: Engine, task: str, arrivals: Sequence[Arrival], *, wants: bool, seconds: float
) -> Replies:
    """What became of each arrival, each of another stream; see `Engine.post`.

    Raises 429 and 503 where the engine takes none of them. Where it takes no more, those left have
    that as their reply.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    replies: dict[int, Sequence[Reply | ProblemError]] = {}
    parts = _parts(arrivals)
    refusal: ProblemError | None = None

    async def work() -> None:
        nonlocal refusal
        for first, part in parts:
            left = deadline - loop.time()
            if refusal is None and left <= 0:
                refusal = refusals.too_slow()
            if refusal is None:
                try:
                    replies[first] = await engine.post(task, part, wants=wants, seconds=left)
                    continue
                except ProblemError as error:
                    refusal = error
            replies[first] = [refusal] * len(part)

    async with asyncio.TaskGroup() as group:
        for _ in range(_AHEAD):
            group.create_task(work())
    found = [reply for _, its in sorted(replies.items()) for reply in its]
    if refusal is not None and all(reply is refusal for reply in found):
        raise refusal
    return found


async def post_and_open(
    engine: Engine,
    streams: Streams,
    loaded: Loaded,
    arrivals: Sequence[Arrival],
    *,
    wants: bool,
    seconds: float,
) -> Replies:
    """`post`, but streams that nobody opened are opened. Raises 422 where the model cannot.

    What was taken by the streams that are there stays so.
    """
    if loaded.spec.stat_exog:
        await streams.open_all(loaded, ())
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    replies = await post(engine, loaded.task, arrivals, wants=wants, seconds=seconds)
    unknown = [place for place, reply in enumerate(replies) if _is_unknown(reply)]
    if unknown:
        again = [arrivals[place] for place in unknown]
        found: Replies
        try:
            await streams.open_all(loaded, [arrival.unique_id for arrival in again])
            left = deadline - loop.time()
            found = await post(engine, loaded.task, again, wants=wants, seconds=left)
        except ProblemError as error:
            if len(unknown) == len(replies):
                raise
            found = [error] * len(unknown)
        for place, reply in zip(unknown, found, strict=True):
            replies[place] = reply
    return replies


def _parts(arrivals: Sequence[Arrival]) -> Iterator[tuple[int, Sequence[Arrival]]]:
    """The arrivals in parts of at most `_PART` observations, or one arrival; and where each begins.

    A generator that two take turns at.
    """
    first = count = 0
    for place, arrival in enumerate(arrivals):
        if place > first and count + len(arrival) > _PART:
            yield first, arrivals[first:place]
            first, count = place, 0
        count += len(arrival)
    if first < len(arrivals):
        yield first, arrivals[first:]


def _is_unknown(reply: Reply | ProblemError) -> bool:
    return isinstance(reply, ProblemError) and reply.problem.status == 404
