"""How much a client may ask for in a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Allowance:
    """So much a second, and at once as much as a second brings; who took more waits.

    clock: seconds.
    """

    def __init__(self, a_second: float, clock: Callable[[], float]) -> None:
        self._a_second = a_second
        self._clock = clock
        self._left = a_second
        self._at = clock()

    def take(self, count: float) -> float:
        """Take it; the seconds to wait before anything more is taken."""
        now = self._clock()
        self._left = min(self._a_second, self._left + (now - self._at) * self._a_second) - count
        self._at = now
        return max(0.0, -self._left / self._a_second)

    async def wait(self, count: float) -> None:
        """Take it, and wait that long."""
        if (seconds := self.take(count)) > 0:
            await asyncio.sleep(seconds)
