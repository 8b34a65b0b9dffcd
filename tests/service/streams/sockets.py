"""Clients of a running service's sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Opcode
from websockets.sync.client import ClientConnection, connect

Said = dict[str, Any]

HANDSHAKE = (
    "GET /v1/models/MODEL/stream HTTP/1.1\r\nhost: HOST\r\nupgrade: websocket\r\n"
    "connection: upgrade\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Client:
    """A socket's client, which waits for what it asks for."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def say(self, **said: Any) -> None:
        self.connection.send(json.dumps(said))

    def hear(self, seconds: float = 20) -> Said:
        said: Said = json.loads(self.connection.recv(timeout=seconds))
        return said

    def hear_nothing(self, seconds: float = 0.3) -> None:
        with pytest.raises(TimeoutError):
            self.connection.recv(timeout=seconds)

    def ask(self, **said: Any) -> Said:
        """Say something, and hear the answer to it."""
        self.say(**said)
        return self.hear()

    def subscribe(self, *names: str, after: int | None = None, **asked: Any) -> Said:
        place = {} if after is None else {"after": after}
        wanted = [{"unique_id": name} | place for name in names]
        return self.ask(subscribe=wanted, **asked)

    def events(self, count: int) -> list[Said]:
        return [self.hear()["event"] for _ in range(count)]

    def closed(self) -> int:
        """The code that the server closes with; what it says before is left out."""
        with suppress(ConnectionClosed):
            while True:
                self.connection.recv(timeout=20)
        assert self.connection.close_code is not None
        return self.connection.close_code


@contextmanager
def client(base: str, task: str = "steps", **named: Any) -> Iterator[Client]:
    place = base.replace("http://", "ws://")
    with connect(f"{place}/v1/models/{task}/stream", proxy=None, **named) as connection:
        yield Client(connection)


def row(name: str, step: int, y: float | None = 1.5) -> Said:
    return {"unique_id": name, "ds": step, "y": y}


def masked(text: bytes) -> bytes:
    """A frame of a client's, whose mask is of zeros."""
    short = len(text) < 126
    length = bytes([0x80 | len(text)]) if short else b"\xfe" + len(text).to_bytes(2, "big")
    return bytes([0x80 | Opcode.TEXT]) + length + bytes(4) + text
