"""A real server on a free port, in a thread of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from service.server import server
from store.settings import Settings


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[str]:
    """The base URL of a service with these settings, alive until the block ends."""
    served = server(settings)
    thread = threading.Thread(target=served.run)
    thread.start()
    try:
        eventually(lambda: served.started or not thread.is_alive())
        port = served.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        served.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def ready(url: str) -> None:
    """Wait until the service is ready; no answer in time is as much as not ready."""

    def is_ready() -> bool:
        try:
            return httpx.get(f"{url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    eventually(is_ready)


def eventually(holds: Callable[[], Any], seconds: float = 120.0) -> None:
    """Wait until something holds; fail if it does not in time, on a machine at its limit too."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)
