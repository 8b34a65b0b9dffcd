"""HTTP connections with deadlines that no client can put off.

uvicorn waits for ever for a request's head, for its body, and for a client to read its answer.
Middleware sees a request only once its head is complete: the deadlines belong to the connection.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from service.problems import MEDIA_TYPE, problem
from store.settings import Settings

MAX_HEAD_BYTES = 32 * 2**10
_GRACE = 5.0  # seconds after the body's deadline, for the answer that says so


class DeadlineProtocol(HttpToolsProtocol):
    """One connection. Subclassed by `bounded`, which fills in the bounds."""

    head_seconds: float
    body_seconds: float
    max_connections: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reading: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse the connection that is one too many; expect a head on the others."""
        super().connection_made(cast("asyncio.Transport", transport))
        if len(self.connections) > self.max_connections:
            self._refuse(503, "busy", "too many connections")
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._stop_reading_timer()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count the bytes of a head, and expect one where the connection was silent."""
        if self.transport.is_closing():
            return
        idle = self._reading is None and (self.cycle is None or self.cycle.response_complete)
        if idle:  # silence is bounded by the keep-alive, which these bytes end
            self._expect_head()
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(431, None, f"the head is larger than {MAX_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        """Expect the head of a request that follows another at once."""
        super().on_message_begin()
        if self._reading is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Expect the body."""
        super().on_headers_complete()
        self._in_head = False
        self._head_bytes = 0
        self._set_reading_timer(self.body_seconds + _GRACE)

    def on_message_complete(self) -> None:
        """Stop the clock: the request is all there."""
        self._stop_reading_timer()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the socket's protocol, which has clocks of its own."""
        if self.parser.get_method() != b"GET":
            self._refuse(400, "malformed-request", "only a GET can open a socket")
            return
        if self._writing is not None or (self.cycle and not self.cycle.response_complete):
            self.transport.abort()  # another answer is under way
            return
        self._stop_reading_timer()
        super().handle_websocket_upgrade()

    def send_400_response(self, _: str) -> None:
        """Answer what is no HTTP, in a problem's words rather than uvicorn's."""
        self._refuse(400, "malformed-request", "this is not HTTP")

    def pause_writing(self) -> None:
        """Expect the client to read what it asked for."""
        super().pause_writing()
        self._writing = self.loop.call_later(self.body_seconds + _GRACE, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the clock: the client reads."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        super().resume_writing()

    def _expect_head(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._set_reading_timer(self.head_seconds)

    def _set_reading_timer(self, seconds: float) -> None:
        self._stop_reading_timer()
        self._reading = self.loop.call_later(seconds, self._too_slow)

    def _stop_reading_timer(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _too_slow(self) -> None:
        self._reading = None
        if self._in_head and (self.cycle is None or self.cycle.response_complete):
            self._refuse(408, "slow-head", "the head of the request took too long")
        else:
            self.transport.abort()

    def _refuse(self, status: int, kind: str | None, reason: str) -> None:
        """Answer without the application, and close."""
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()  # another answer is under way
            return
        body = orjson.dumps(problem(status, kind, reason).problem.model_dump(exclude={"errors"}))
        head = (
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            f"{'retry-after: 1' if status == 503 else 'x-content-type-options: nosniff'}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(STATUS_LINE[status] + head.encode() + body)
        self.transport.close()


def bounded(settings: Settings) -> type[DeadlineProtocol]:
    """The protocol with the bounds of `settings`, as uvicorn wants it: a class."""
    bounds = {
        "head_seconds": settings.header_seconds,
        "body_seconds": settings.body_seconds,
        "max_connections": settings.max_connections,
    }
    return type("BoundedProtocol", (DeadlineProtocol,), bounds)
