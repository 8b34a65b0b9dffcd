"""WebSocket connections with bounds that no client can put off.

uvicorn waits for ever for a client to read, answers every ping whether or not the answers are read,
and keeps the pieces of a message however many they are.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from service.problems import MEDIA_TYPE, problem
from store.settings import Settings

MAX_MESSAGE_BYTES = 2**20
PING_SECONDS = 20.0
"""Between two pings of ours; one that is not answered for as long ends the connection."""
_MOST_PIECES = 1_024
"""Frames of one message."""
_PINGS_A_SECOND = 10
_LINGER_SECONDS = 1.0
_GRACE = 5.0  # seconds, as for an answer over HTTP (`service.protocol`)


class DeadlineSocket(WebSocketsSansIOProtocol):
    """One connection. Subclassed by `bounded_socket`, which fills in the bounds."""

    head_seconds: float
    write_seconds: float

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._accepting: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None
        self._pings = 0
        self._pings_from = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Expect the application to accept it or not."""
        super().connection_made(transport)
        self._accepting = self.loop.call_later(self.head_seconds, self._not_accepted)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        for timer in (self._accepting, self._writing):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Refuse what begins as no handshake, of which uvicorn says nothing."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self.handshake_initiated and self.conn.handshake_exc is not None:
            said = problem(400, "malformed-request", "this is no WebSocket handshake").problem
            body = orjson.dumps(said.model_dump(exclude={"errors"}))
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            end = "connection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[400] + (head + end).encode() + body)
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        """Bound the pieces of a message; their bytes are bounded already."""
        if len(self.frames) >= _MOST_PIECES:
            self._fail(CloseCode.MESSAGE_TOO_BIG, "a message in too many pieces")
            return
        super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer, but not a flood."""
        now = self.loop.time()
        if now - self._pings_from > 1:
            self._pings, self._pings_from = 0, now
        self._pings += 1
        if self._pings > _PINGS_A_SECOND:
            self._fail(CloseCode.POLICY_VIOLATION, "too many pings")
            return
        super().handle_ping()

    def pause_writing(self) -> None:
        """Expect the client to read what it was sent; hear nothing more until it does."""
        super().pause_writing()
        self.transport.pause_reading()
        self._writing = self.loop.call_later(self.write_seconds + _GRACE, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the clock: the client reads."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()
        super().resume_writing()

    async def receive(self) -> Any:
        """The next message; none is read ahead while the client does not read."""
        message = await super().receive()
        if not self.writable.is_set() and not self.transport.is_closing():
            self.transport.pause_reading()
        return message

    def handle_parser_exception(self) -> None:
        """Close after what is no WebSocket, without the application."""
        sent = self.conn.close_sent
        if self.close_sent or sent is None:
            return
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": sent.code, "reason": sent.reason}
        )
        self._end()

    def _not_accepted(self) -> None:
        if not self.handshake_complete:
            self.transport.abort()

    def _fail(self, code: CloseCode, reason: str) -> None:
        """Close a connection that breaks a rule, without the application."""
        if self.close_sent or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.fail(code, reason)
        self._end()

    def _end(self) -> None:
        """Send the close, and throw away what still comes.

        Were the connection closed at once, its reset could reach the client before the reason.
        """
        self.stop_keepalive()
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(_LINGER_SECONDS, self.transport.close)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()


def bounded_socket(settings: Settings) -> type[DeadlineSocket]:
    """The protocol with the bounds of `settings`, as uvicorn wants it: a class."""
    bounds = {"head_seconds": settings.header_seconds, "write_seconds": settings.body_seconds}
    return type("BoundedSocket", (DeadlineSocket,), bounds)
