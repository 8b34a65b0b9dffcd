"""Server-sent events: a stream's observations and forecasts as they come, without a gap."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from service.openapi import problems
from service.parts import Parts
from service.problems import Fault, ProblemError, content_of, invalid
from service.streams.answers import dumped
from service.streams.arrival import Arrival
from service.streams.asking import Asking
from service.streams.catching_up import CatchingUp, Skipped
from service.streams.feeds import Event, Listener
from service.streams.places import Place, place_of
from service.streams.routes import name_of, served
from store.streams import Key

router = APIRouter(prefix="/v1/models/{model}/streams", tags=["streams"])

MEDIA_TYPE = "text/event-stream"
_HEARTBEAT_SECONDS = 15.0
"""Silence after which a comment is sent, so that no proxy takes the connection for dead."""
_AT_ONCE = 16
"""Events that are written between two looks at whether the service ends."""

_EXAMPLE = """\
event: open
id: 4
data: {"model":"load","unique_id":"H1","position":4,"newest":4}

id: 5
event: forecast
data: {"model":"load","version":"3","unique_id":"H1","ds":"2026-03-29T04:00:00+00:00",\
"position":5,"duplicate":false,"late":false,"missing":0,"warming":false,\
"forecast":{"ds":["2026-03-29T05:00:00+00:00"],"mean":[541.2],"quantiles":{"0.5":[541.2]}}}

"""
_PARAMETERS: list[dict[str, Any]] = [
    *(
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in ("model", "unique_id")
    ),
    *(
        {"name": name, "in": "query", "schema": {"type": kind}, "description": text}
        for name, kind, text in (
            ("h", "integer", "steps of each forecast; the model's horizon where not given"),
            ("level", "string", "interval levels in percent, separated by commas"),
            ("quantiles", "string", "quantiles between 0 and 1, separated by commas"),
        )
    ),
    {
        "name": "Last-Event-ID",
        "in": "header",
        "schema": {"type": "integer", "minimum": 0},
        "description": "the id of the last event that was received; those after it are sent",
    },
]


@router.get(
    "/{unique_id}/events",
    summary="Listen to a stream",
    response_class=Response,
    responses={
        200: {
            "description": "Events: `open` first; `forecast`, one an observation, whose `id` is the"
            " observation's position; `skipped`, with the `count` of those left out; `closed`, with"
            " the `reason`, or `problem`, at the end",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}},
        },
        **problems(404, 409, 410, 422, 503),
    },
    openapi_extra={"parameters": _PARAMETERS},
)
async def listen(request: Request) -> Response:
    """A forecast after each observation, as it comes: those from now on, or, with `Last-Event-ID`,
    those after it, none missing and none twice.

    A listener that has missed more than 1,000 is told how many it is not sent, and sent the newest.
    """
    parts, loaded = served(request)
    unique_id = name_of(request)
    asking = Asking(parts.writer, request.scope["query_string"].decode("latin-1"))
    asking.of(loaded)
    parts.feeds.check_room()
    key = loaded.task, unique_id
    seconds = parts.settings.request_seconds
    [reply] = await parts.engine.post(
        loaded.task, [Arrival(unique_id)], wants=False, seconds=seconds
    )
    after = _last_event(request)
    place = await place_of(parts, key, reply, after, field="Last-Event-ID")
    return _Events(parts, asking, key, place)


def _last_event(request: Request) -> int | None:
    text = request.headers.get("last-event-id")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise invalid([Fault(field="Last-Event-ID", reason="must be the id of an event")])
    return int(text)


class _Events(Response):
    """The answer."""

    media_type = MEDIA_TYPE

    def __init__(self, parts: Parts, asking: Asking, key: Key, place: Place) -> None:
        super().__init__()
        del self.headers["content-length"]
        self.headers["x-accel-buffering"] = "no"  # nginx would keep what is small
        self._parts = parts
        self._asking = asking
        self._key = key
        self._place = place

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send events until the client hangs up, the stream ends or the service does."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sending = asyncio.create_task(self._send(send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sending.cancel()
            gone.cancel()
            await asyncio.wait({sending, gone})
        if not sending.cancelled():
            sending.result()
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send(self, send: Send) -> None:
        feeds = self._parts.feeds
        with feeds.reading() as reader:
            place = self._place
            listener = feeds.listen(
                reader, place.stream, self._key, seen=place.seen, newest=place.newest
            )
            listener.end = place.end
            try:
                async for text in self._texts(listener):
                    await send({"type": "http.response.body", "body": text, "more_body": True})
            finally:
                feeds.leave(listener)

    async def _texts(self, listener: Listener) -> AsyncIterator[bytes]:
        catching_up = CatchingUp(self._parts.slots, self._parts.keeper)
        stopping, changed = self._parts.feeds.stopping, listener.reader.changed
        task, unique_id = self._key
        position, newest = self._place.seen, self._place.newest
        first = {"model": task, "unique_id": unique_id, "position": position, "newest": newest}
        yield _block("open", first, position)
        try:
            while not stopping.is_set():
                changed.clear()
                listener.reader.news.clear()
                taken = await catching_up.take(listener, _AT_ONCE)
                if isinstance(taken, Skipped):
                    yield _block("skipped", {"count": taken.count}, listener.seen)
                elif taken:
                    yield self._written(taken)
                elif listener.end is not None:
                    yield _block("closed", {"reason": listener.end})
                    return
                elif not await _within(changed, _HEARTBEAT_SECONDS):
                    yield b":\n\n"
        except ProblemError as error:
            yield _block("problem", content_of(error.problem))
        yield b"retry: %d\n\n" % (1_000 + secrets.randbelow(4_000))  # not all at the same moment

    def _written(self, events: Sequence[Event]) -> bytes:
        return b"".join(
            b"id: %d\nevent: forecast\ndata: %b\n\n" % (event.seq, self._asking.text(event))
            for event in events
        )


def _block(name: str, data: dict[str, Any], number: int | None = None) -> bytes:
    place = b"" if number is None else b"id: %d\n" % number
    return b"%bevent: %b\ndata: %b\n\n" % (place, name.encode(), dumped(data))


async def _within(changed: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await changed.wait()
    except TimeoutError:
        return False
    return True


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
