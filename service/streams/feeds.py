"""Who listens to a stream: each observation becomes an event, in the order of the log.

Events come from the engine as it makes them. Where it makes none (an observation that came late, a
long history, another replica), the feed lags, and `service.streams.following` makes them from the
log, once for all who listen. A listener has a short queue of its own; one that falls behind fetches
what it missed from the log by itself (`service.streams.catching_up`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from service.problems import busy
from service.slots import Loaded
from service.streams.arrival import Outcome
from service.streams.batch import Values
from store.streams import Key

_QUEUE = 32
"""Events that wait for one listener: some 5 KB each, and 10 KB more once written."""
_HELD = 256
"""Events that wait for all listeners of one reader together."""
_MOST_READERS = 1_000
"""Connections that may listen at once: each is held for as long as its client likes."""

End = Literal["closed", "expired"]
"""Why nothing will follow."""


@dataclass(frozen=True, eq=False, slots=True)
class Event:
    """An observation, and the forecast after it: values (horizon, outputs), None without any.

    newest: ds of the stream's newest observation, which the forecast is after; one that came late
    lies before it. texts: the event as it was written, by what was asked, for all who asked so.
    """

    key: Key
    loaded: Loaded
    outcome: Outcome
    newest: int
    values: Values | None
    texts: dict[object, bytes] = field(default_factory=dict, repr=False)

    @property
    def seq(self) -> int:
        """Its place in the stream's log, which is the event's id."""
        return self.outcome.seq


@dataclass(eq=False, slots=True)
class Reader:
    """One connection that listens, to one stream or to many.

    news: its listeners that something has happened to. changed is set whenever there are any, and
    when the service ends. held: events that wait for all of them.
    """

    news: dict[Listener, None] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    held: int = 0


@dataclass(eq=False, slots=True)
class Listener:
    """A reader's ear on one stream.

    seen: the newest place in the log that it has been given, or does without. known: the newest
    that it was told of. end: set when nothing will follow that.
    """

    reader: Reader
    stream: int
    key: Key
    seen: int
    known: int
    end: End | None = None
    _waiting: deque[Event] = field(default_factory=deque)

    def next(self) -> Event | None:
        """The event after the last, if it is at hand; then `seen` counts it."""
        self.skip_to(self.seen)
        if not self._waiting or self._waiting[0].seq != self.seen + 1:
            return None
        self.seen += 1
        return self._take()

    @property
    def behind(self) -> int:
        """How many events have happened that it has not seen."""
        return self.known - self.seen

    @property
    def missing(self) -> int:
        """How many of them come before those at hand: only the log has them."""
        self.skip_to(self.seen)
        before = self._waiting[0].seq - 1 if self._waiting else self.known
        return before - self.seen

    def skip_to(self, seq: int) -> None:
        """Do without the events up to a place in the log."""
        self.seen = max(self.seen, seq)
        self.known = max(self.known, seq)
        while self._waiting and self._waiting[0].seq <= self.seen:
            self._take()

    def tell(self, events: Sequence[Event], newest: int) -> None:
        """Events have happened, the newest of them in this place of the log.

        The oldest are not kept where there is no room: the log has them.
        """
        for event in events:
            self._waiting.append(event)
            self.reader.held += 1
            if len(self._waiting) > _QUEUE or self.reader.held > _HELD:
                self._take()
        self.known = max(self.known, newest)
        self.wake()

    def wake(self) -> None:
        """Let the reader look at this one."""
        self.reader.news[self] = None
        self.reader.changed.set()

    def drop(self) -> None:
        """Hold nothing more."""
        self.skip_to(self.known)
        self.reader.news.pop(self, None)

    def _take(self) -> Event:
        self.reader.held -= 1
        return self._waiting.popleft()


@dataclass(eq=False, slots=True)
class Feed:
    """A stream that somebody listens to.

    head: the place in the log up to which its listeners were told; target: the newest that is known
    of. Between the two it lags.
    """

    key: Key
    head: int
    target: int
    listeners: dict[Listener, None] = field(default_factory=dict)


class Feeds:
    """The listeners of every stream, by the stream's id. Only for the event loop's thread.

    lags: set while `lagging` streams wait for what only the log has. stopping: the service ends.
    """

    def __init__(self) -> None:
        self._feeds: dict[int, Feed] = {}
        self.readers: dict[Reader, None] = {}
        self.lagging: dict[int, None] = {}
        self.lags = asyncio.Event()
        self.stopping = asyncio.Event()

    def __contains__(self, stream: object) -> bool:
        return stream in self._feeds

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._feeds))

    def get(self, stream: int) -> Feed | None:
        """The feed of a stream that somebody listens to."""
        return self._feeds.get(stream)

    def check_room(self) -> None:
        """Raise 503 where as many connections listen as may."""
        if len(self.readers) >= _MOST_READERS:
            raise busy("too many connections listen to streams", seconds=5)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """A connection that listens, until the block ends."""
        reader = Reader()
        self.readers[reader] = None
        try:
            yield reader
        finally:
            del self.readers[reader]

    def listen(self, reader: Reader, stream: int, key: Key, *, seen: int, newest: int) -> Listener:
        """Listen to a stream. seen: the events that the listener has; newest: those there are."""
        feed = self._feeds.setdefault(stream, Feed(key, newest, newest))
        listener = Listener(reader, stream, key, seen, max(seen, feed.head))
        feed.listeners[listener] = None
        self.lag(stream, newest)
        listener.wake()
        return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        listener.drop()
        feed = self._feeds[listener.stream]
        del feed.listeners[listener]
        if not feed.listeners:
            del self._feeds[listener.stream]
            self.lagging.pop(listener.stream, None)

    def publish(self, stream: int, events: Sequence[Event], newest: int) -> None:
        """Tell a stream's listeners the events that follow what they know; then it lags, or not."""
        feed = self._feeds.get(stream)
        if feed is None:
            return
        following: list[Event] = []
        for event in events:
            if event.seq == feed.head + 1:
                feed.head += 1
                following.append(event)
        if following:
            for listener in feed.listeners:
                listener.tell(following, feed.head)
        self.lag(stream, newest)

    def lag(self, stream: int, newest: int) -> None:
        """The log has come to a place that the feed may not have come to."""
        feed = self._feeds.get(stream)
        if feed is None:
            return
        feed.target = max(feed.target, newest)
        if feed.head < feed.target:
            self.lagging[stream] = None
            self.lags.set()
        else:
            self.lagging.pop(stream, None)

    def jump(self, stream: int) -> None:
        """Tell a stream's listeners where its log ends, without the events before."""
        feed = self._feeds.get(stream)
        if feed is None:
            return
        feed.head = feed.target
        for listener in feed.listeners:
            listener.tell((), feed.head)
        self.lagging.pop(stream, None)

    def close(self, stream: int, end: End = "closed") -> None:
        """Tell a stream's listeners that nothing will follow what its log has."""
        self.jump(stream)
        feed = self._feeds.get(stream)
        for listener in () if feed is None else feed.listeners:
            listener.end = end

    def stop(self) -> None:
        """Tell every reader that the service ends."""
        self.stopping.set()
        for reader in self.readers:
            reader.changed.set()
