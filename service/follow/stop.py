"""Ctrl-C and SIGTERM: what is under way is ended, and every wait ends at once."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedError(Exception):
    """A person, or the system, wants the end."""


class Stop:
    """Whether the end is wanted. Close it after use."""

    def __init__(self) -> None:
        self.wanted = False
        self._read, self._write = os.pipe()

    def close(self) -> None:
        """Let the descriptors go."""
        os.close(self._read)
        os.close(self._write)

    def want(self) -> None:
        """End every wait, now and later."""
        if not self.wanted:
            self.wanted = True
            os.write(self._write, b".")

    def wait(self, seconds: float, *also: int) -> None:
        """Wait so long, until the end is wanted, or until one of these descriptors has more."""
        deadline = time.monotonic() + seconds
        left = seconds
        while left > 0:
            ready, _, _ = select.select([self._read, *also], [], [], min(left, 3600.0))
            if ready:
                return
            left = deadline - time.monotonic()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Let the first Ctrl-C or SIGTERM be a wish; the second ends the process as ever."""
        before = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self.want()
