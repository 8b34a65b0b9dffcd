"""What a listener asked for, held against each version that makes its events."""

from __future__ import annotations

from service.slots import Loaded
from service.streams.answers import Ask, Writer, ask
from service.streams.feeds import Event


class Asking:
    """A query's `h`, `level` and `quantiles`, for whichever version serves."""

    def __init__(self, writer: Writer, query: str) -> None:
        self._writer = writer
        self._query = query
        self._asked: Ask | None = None

    def of(self, loaded: Loaded) -> Ask:
        """What is asked of a version. Raises 422 where it has not got that."""
        if self._asked is None:
            self._asked = ask(self._query, loaded.spec, wants=True, seconds=0.0)
        self._asked = self._asked.of(loaded.spec)
        return self._asked

    def text(self, event: Event) -> bytes:
        """An event as JSON, written once for all who ask the same. Raises 422 as `of`."""
        asked = self.of(event.loaded)
        text = event.texts.get(asked)
        if text is None:
            text = event.texts[asked] = self._writer.event(event, asked)
        return text
