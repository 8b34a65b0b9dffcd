"""What a listener has not seen yet: from its queue, or, where it fell behind, from the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.slots import Slots
from service.streams import refusals
from service.streams.feeds import Event, Listener
from service.streams.history import Past
from service.streams.keeper import Keeper
from store.errors import StoreError

MOST_MISSED = 1_000
"""Events that are made again from the log for one listener; of more the newest are."""
_AT_ONCE = 64
"""Events that are made together: some 20 ms of the thread that rebuilds, and 300 KB."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Events that a listener is not given: they are too many."""

    count: int


class CatchingUp:
    """Takes what listeners have not seen. It remembers where it was in the log of one of them."""

    def __init__(self, slots: Slots, keeper: Keeper) -> None:
        self._slots = slots
        self._keeper = keeper
        self._past: Past | None = None
        self._listener: Listener | None = None

    async def take(self, listener: Listener, most: int) -> Sequence[Event] | Skipped:
        """The next of what a listener has not seen, at most so many; none where it has seen all.

        Raises the problem for which they are not to be had: 409, 503.
        """
        events: list[Event] = []
        while len(events) < most and (event := listener.next()) is not None:
            events.append(event)
        if events or not listener.behind:
            return events
        if (count := listener.behind - MOST_MISSED) > 0:
            listener.skip_to(listener.seen + count)
            return Skipped(count)
        past = self._past_of(listener)
        try:
            events = await self._keeper.events(past, min(most, listener.missing, _AT_ONCE))
        except StoreError as error:
            self._past = None  # it may have come half the way
            raise refusals.not_kept(error.reason) from None
        if not events:
            raise refusals.incompatible()
        listener.skip_to(events[-1].seq)
        if not listener.behind:
            self._past = None
        return events

    def _past_of(self, listener: Listener) -> Past:
        past = self._past
        if past is not None and self._listener is listener and past.seq == listener.seen:
            return past
        slot = self._slots.get(listener.key[0])
        if slot is None or slot.champion is None:
            raise refusals.no_champion()
        self._past = self._keeper.past(slot.champion, listener.key, listener.seen)
        self._listener = listener
        return self._past
