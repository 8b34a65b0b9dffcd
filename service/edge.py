"""The outermost layer of the application: what holds for every request, whatever its route.

A request id, headers, the host that was asked for, how many are in work at once, a line in the log,
and an answer even where a route fails.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections.abc import Sequence

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.door import Door
from service.problems import ProblemError, busy, problem, response
from service.streams import refusals

_ID = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
]
_STARTS = ("http.response.start", "websocket.accept", "websocket.http.response.start")
_CLOSE = (b"connection", b"close")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
_ALWAYS = ("/livez", "/readyz")
"""Answered even at the limit: an orchestrator that gets no answer ends a service that is busy."""

log = structlog.get_logger()


class Edge:
    """ASGI middleware, to be added last."""

    def __init__(self, app: ASGIApp, *, door: Door, trusted_hosts: Sequence[str]) -> None:
        self._app = app
        self._ids = itertools.count(secrets.randbits(63))
        self._door = door
        self._trusted_hosts = tuple(host.lower() for host in trusted_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one socket until it is closed."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _request_id(scope, next(self._ids))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status = 0
        door, counted = self._door, 1

        async def answer(message: Message) -> None:
            nonlocal status, counted
            if message["type"] in _STARTS:
                status = message.get("status", 101)
                headers = [*message.get("headers", ())]
                if status == 101 or _EVENTS in headers:  # it goes on for as long as it likes
                    door.inside -= counted
                    counted = 0
                added = [*_HEADERS, (b"x-request-id", request_id.encode())]
                if door.closing and message["type"] == "http.response.start":
                    added.append(_CLOSE)
                message["headers"] = [*headers, *added]
            await send(message)

        door.inside += 1
        try:
            self._check(scope)
            await self._app(scope, receive, answer)
        except ProblemError as error:
            await response(error)(scope, receive, answer)
        except ClientDisconnect:
            status = 499  # as nginx logs it; nobody is there to read it
        except Exception:
            log.exception("request failed", path=scope["path"][:200])
            if status:
                raise  # half an answer is out: the connection is all that can be closed
            failure = problem(500, "internal-error", headers={"connection": "close"})
            await response(failure)(scope, receive, answer)
        finally:
            door.inside -= counted
            milliseconds = round(1000 * (time.perf_counter() - began), 2)
            note = log.debug if scope["path"] in _ALWAYS and status == 200 else log.info
            note(
                "request",
                method=scope.get("method", "WEBSOCKET"),
                path=scope["path"][:200],
                status=status,
                ms=milliseconds,
            )

    def _check(self, scope: Scope) -> None:
        if self._door.closing and scope["path"] != "/livez":
            raise refusals.stopping()
        if scope["path"] in _ALWAYS:
            return
        if self._door.inside > self._door.most:
            raise busy("too many requests at once")
        if self._trusted_hosts and not self._trusted(scope):
            raise problem(400, "unknown-host", "this service does not go by that name")

    def _trusted(self, scope: Scope) -> bool:
        named = [value for name, value in scope["headers"] if name == b"host"]
        if len(named) != 1:
            return False
        host = named[0].decode("latin-1").lower()
        host = host.rpartition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        return any(
            host == trusted or (trusted.startswith("*.") and host.endswith(trusted[1:]))
            for trusted in self._trusted_hosts
        )


def _request_id(scope: Scope, own: int) -> str:
    """The client's own, if it is harmless, or ours."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ID.match(value):
            given: str = value.decode("ascii")
            return given
    return f"{own:016x}"
