"""Standard input, or any other pipe."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence

from service.follow.lines import Cutter, Line
from service.follow.tail import BLOCK


class Piped:
    """The lines that come through a file descriptor, until its writers close it."""

    left = None

    def __init__(self, descriptor: int, place: str) -> None:
        self.ended = False
        self.waits_on: int | None = descriptor
        self._descriptor = descriptor
        self._cutter = Cutter(place)

    def read(self) -> Sequence[Line] | None:
        """Lines of the next bytes, None if there are none. Raises OSError."""
        ready, _, _ = select.select([self._descriptor], [], [], 0)
        if not ready:
            return None
        data = os.read(self._descriptor, BLOCK)
        if data:
            return self._cutter.cut(data)
        self.ended = True
        return self._cutter.rest()

    def close(self) -> None:
        """Nothing: the descriptor is another's."""
