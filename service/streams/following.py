"""Events that the engine does not make: from the log, once for all who listen to a stream.

Of observations that came late or came in great number, and of those that another process took:
the log's ends of all streams that somebody listens to are looked at every second.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

import structlog
from sqlalchemy import Connection

from service.problems import ProblemError
from service.slots import Slots
from service.streams.catching_up import MOST_MISSED
from service.streams.engine import now_ms
from service.streams.feeds import Feed, Feeds
from service.streams.history import Past
from service.streams.keeper import Keeper
from store.errors import StoreError
from store.log import Tail, tails
from store.streams import Key, Stream, find_streams

LOOK_SECONDS = 1.0
"""Between two looks at the ends of the log."""
_SETTLE_SECONDS = 0.1
"""What the log has may be the engine's own, which shows it this soon."""
_LOOKED_AT = 1_000
"""Streams that are looked at together, between two appends."""
_AT_ONCE = 16
"""Events that are made together: half of what waits for a listener."""
_PASTS = 256
"""Streams whose place in the log is kept, with a state: some 20 KB each."""

log = structlog.get_logger()


class Following:
    """Keeps feeds from lagging. Runs until it is cancelled.

    clock: milliseconds since 1970.
    """

    def __init__(
        self, feeds: Feeds, slots: Slots, keeper: Keeper, clock: Callable[[], int] = now_ms
    ) -> None:
        self._feeds = feeds
        self._slots = slots
        self._keeper = keeper
        self._clock = clock
        self._pasts: OrderedDict[int, Past] = OrderedDict()

    async def run(self) -> None:
        """Look, and make what is missing, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look())
            group.create_task(self._make())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            streams = list(self._feeds)
            for start in range(0, len(streams), _LOOKED_AT):
                try:
                    await self._look_at(streams[start : start + _LOOKED_AT])
                except StoreError as error:
                    log.warning("streams not looked at", reason=error.reason)
                except Exception:
                    log.exception("streams not looked at")

    async def _look_at(self, streams: Sequence[int]) -> None:
        found = [feed for each in streams if (feed := self._feeds.get(each)) is not None]
        ends = await self._keeper.read(_ends, [feed.key for feed in found])
        await asyncio.sleep(_SETTLE_SECONDS)
        for stream, tail in ends:
            self._feeds.lag(stream.id, max(tail.seq, tail.late_seq))
            if stream.closed is not None:
                self._feeds.close(stream.id)
            elif _expired(stream, tail, self._clock()):
                self._feeds.close(stream.id, "expired")

    async def _make(self) -> None:
        while True:
            await self._feeds.lags.wait()
            self._feeds.lags.clear()
            for stream in list(self._feeds.lagging):
                try:
                    await self._fill(stream)
                except (StoreError, ProblemError):
                    self._feeds.jump(stream)  # each listener hears what is wrong when it asks
                except Exception:
                    log.exception("events not made")
                    self._feeds.jump(stream)

    async def _fill(self, stream: int) -> None:
        """Make what a stream's listeners lack; of very much they fetch by themselves."""
        while (feed := self._feeds.get(stream)) is not None and feed.head < feed.target:
            past = self._past_of(stream, feed)
            if past is None or feed.target - feed.head > MOST_MISSED:
                self._feeds.jump(stream)
                return
            most = min(feed.target - feed.head, _AT_ONCE)
            events = await self._keeper.events(past, most)
            if not events:
                self._feeds.jump(stream)
                return
            self._keep(stream, past)
            self._feeds.publish(stream, events, events[-1].seq)

    def _past_of(self, stream: int, feed: Feed) -> Past | None:
        slot = self._slots.get(feed.key[0])
        if slot is None or slot.champion is None:
            return None
        past = self._pasts.pop(stream, None)
        if past is not None and past.seq == feed.head and past.loaded is slot.champion:
            return past
        return self._keeper.past(slot.champion, feed.key, feed.head)

    def _keep(self, stream: int, past: Past) -> None:
        self._pasts[stream] = past
        if len(self._pasts) > _PASTS:
            self._pasts.popitem(last=False)


def _ends(connection: Connection, keys: Sequence[Key]) -> list[tuple[Stream, Tail]]:
    streams = find_streams(connection, keys).values()
    ends = tails(connection, [stream.id for stream in streams])
    return [(stream, ends[stream.id]) for stream in streams if stream.id in ends]


def _expired(stream: Stream, tail: Tail, now: int) -> bool:
    if stream.ttl_hours is None:
        return False
    return now > max(tail.received or 0, stream.opened) + stream.ttl_hours * 3_600_000
