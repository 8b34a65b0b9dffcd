"""A relay before a real service that loses some of its answers, and some of the requests."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit


class Relay:
    """Passes each connection on. Of some it drops the answer, of some the request.

    lost: how many answers were dropped, whose requests the service had.
    """

    def __init__(self, url: str, seed: int) -> None:
        place = urlsplit(url)
        assert place.hostname is not None
        assert place.port is not None
        self.lost = 0
        self._target = place.hostname, place.port
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as target, contextlib.suppress(OSError):
            threading.Thread(target=self._pass, args=(client, target), daemon=True).start()
            while answer := target.recv(2**20):
                if self._random.random() < 0.3:
                    self.lost += 1
                    break
                client.sendall(answer)
            for each in (client, target):
                each.shutdown(socket.SHUT_RDWR)

    def _pass(self, client: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while request := client.recv(2**20):
                if self._random.random() < 0.1:
                    break
                target.sendall(request)
            target.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def cutting(url: str, seed: int) -> Iterator[Relay]:
    """A relay before the service at `url`."""
    relay = Relay(url, seed)
    try:
        yield relay
    finally:
        relay.close()
