"""Many connections that each post one body after another, as fast as they are answered.

On a bare protocol: a client library would cost more than the servers that it measures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import uvloop


@dataclass(frozen=True, slots=True)
class Posts:
    """What came back: answers, seconds of the whole, and the last answer's body."""

    answers: int
    seconds: float
    body: bytes

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._done = done
        self._held = b""
        self.answers = 0
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._held += data
        head_end = self._held.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._held[:head_end].lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        end = head_end + 4 + length
        if len(self._held) < end:
            return
        self.body, self._held = self._held[head_end + 4 : end], self._held[end:]
        if not head.startswith(b"http/1.1 200"):
            self._fail(RuntimeError(f"{head.splitlines()[0].decode()}: {self.body[:300]!r}"))
            return
        self.answers += 1
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's
        self._fail(RuntimeError("the server hung up"))

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            if not self._done.done():
                self._done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(request)

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)


def post(port: int, requests: Sequence[Sequence[bytes]]) -> Posts:
    """Send each connection's requests in order. Raises RuntimeError unless all are answered 200."""
    return uvloop.run(_post(port, requests))


async def _post(port: int, requests: Sequence[Sequence[bytes]]) -> Posts:
    loop = asyncio.get_running_loop()
    connections: list[_Connection] = []
    waiting: list[asyncio.Future[None]] = []
    began = time.perf_counter()
    for its in requests:
        done: asyncio.Future[None] = loop.create_future()
        connection = _Connection(iter(its), done)
        await loop.create_connection(lambda c=connection: c, "127.0.0.1", port)  # type: ignore[misc]
        connections.append(connection)
        waiting.append(done)
    await asyncio.gather(*waiting)
    seconds = time.perf_counter() - began
    return Posts(sum(c.answers for c in connections), seconds, connections[0].body)


def request(path: str, body: bytes) -> bytes:
    """A POST of JSON as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
