"""Where requests are read and answers written: at once if small, else in a thread of its own.

Python's parser holds the interpreter all the same; but one thread for all large bodies means that
only one of them is blown up into objects at a time, and that small requests pass it in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

_SMALL = 64 * 2**10
"""Bytes that are read in less time (0.2 ms) than a thread takes to be spoken to twice."""
LARGE = _SMALL + 1
"""The size of what is small to look at and long in the doing."""

P = ParamSpec("P")
T = TypeVar("T")


class Desk:
    """Does work in turn."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "desk")

    async def do(self, size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """work(*args, **kwargs), for `size` bytes of input or output."""
        if size <= _SMALL:
            return work(*args, **kwargs)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))

    async def close(self) -> None:
        """Wait for the work that is under way."""
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
