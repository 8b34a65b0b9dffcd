"""The streams that one socket listens to, and which event is sent next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service.streams.asking import Asking
from service.streams.feeds import Feeds, Listener, Reader
from service.streams.places import Place
from store.streams import Key


@dataclass(eq=False, slots=True)
class Subscription:
    """A stream that is listened to.

    every: whether each event is to be sent; else, where credit or room is lacking, the newest.
    dropped: events that were left out since the last that was sent.
    """

    listener: Listener
    asking: Asking
    every: bool
    dropped: int = 0

    @property
    def unique_id(self) -> str:
        """The stream's name."""
        return self.listener.key[1]

    def do_without(self, *, credit: bool) -> None:
        """Drop what is not to be sent: all but the newest without credit, else what is not at hand.

        Only for one that is content with less than every event.
        """
        listener = self.listener
        count = listener.missing if credit else listener.behind - 1
        count = min(count, listener.behind - 1)
        if count > 0:
            listener.skip_to(listener.seen + count)
            self.dropped += count

    def taken_dropped(self) -> int:
        """How many were left out before the event that is sent now."""
        dropped, self.dropped = self.dropped, 0
        return dropped


class Subscriptions:
    """Those of one socket, by `unique_id`. credit: events that may be sent."""

    def __init__(self, feeds: Feeds, reader: Reader, credit: int) -> None:
        self.credit = credit
        self._feeds = feeds
        self._reader = reader
        self._of: dict[str, Subscription] = {}
        self._waiting: dict[Subscription, None] = {}

    def __len__(self) -> int:
        return len(self._of)

    def __contains__(self, unique_id: object) -> bool:
        return unique_id in self._of

    def has(self, subscription: Subscription) -> bool:
        """Whether it is one of them still."""
        return self._of.get(subscription.unique_id) is subscription

    def add(self, key: Key, place: Place, asking: Asking, *, every: bool) -> None:
        """Listen to a stream, anew if it was listened to."""
        self.remove(key[1])
        listener = self._feeds.listen(
            self._reader, place.stream, key, seen=place.seen, newest=place.newest
        )
        listener.end = place.end
        self._of[key[1]] = Subscription(listener, asking, every)

    def remove(self, unique_id: str) -> bool:
        """Listen to a stream no more; whether it was listened to."""
        subscription = self._of.pop(unique_id, None)
        if subscription is None:
            return False
        self._waiting.pop(subscription, None)
        self._feeds.leave(subscription.listener)
        return True

    def clear(self) -> None:
        """Listen to nothing."""
        for unique_id in list(self._of):
            self.remove(unique_id)

    def allow(self, count: int, most: int) -> None:
        """Let so many more events be sent, `most` at once."""
        self.credit = min(self.credit + count, most)
        for subscription in self._waiting:
            subscription.listener.wake()
        self._waiting.clear()

    def ready(self) -> Iterator[Subscription]:
        """Those that something is to be sent of now, each as often as that is so."""
        news = self._reader.news
        while news:
            listener = next(iter(news))
            del news[listener]
            subscription = self._of.get(listener.key[1])
            if subscription is None or subscription.listener is not listener:
                continue
            if not subscription.every:
                subscription.do_without(credit=self.credit > 0)
            if self.credit < 1 and listener.behind:
                self._waiting[subscription] = None
                continue
            yield subscription
