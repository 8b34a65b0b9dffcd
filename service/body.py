"""Reading a request's body: bounded in bytes and in time, while it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from service.problems import problem

# The rest of a connection whose request was not read to its end cannot be trusted to be a request.
_CLOSE = {"connection": "close"}
_SMALL = 64 * 2**10  # bytes that need not be counted


@dataclass(slots=True)
class BodyBudget:
    """Bytes of bodies that the process holds at once."""

    limit: int
    held: int = 0


def check_media_type(request: Request) -> None:
    """Raise 415 unless the body is declared as plain JSON in UTF-8."""
    media, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if media.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise problem(
            415,
            "unsupported-media-type",
            "the body must be application/json in UTF-8",
            headers={"accept": "application/json"},
        )
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise problem(
            415,
            "unsupported-media-type",
            "the body must not be compressed",
            headers={"accept-encoding": "identity"},
        )


async def received_at_once(
    request: Request, *, max_bytes: int, seconds: float, budget: BodyBudget
) -> bytes:
    """A body that is read as soon as it is there, and small if it comes in one piece.

    For the route that is asked thousands of times a second: a clock of its own costs such a body a
    tenth of its request, and until the first piece the connection's runs (`service.protocol`).
    Raises as `received`.
    """
    first = await request.receive()
    body: bytes = first.get("body", b"")
    whole = first["type"] == "http.request" and not first.get("more_body", False)
    if whole and len(body) <= min(_SMALL, max_bytes):
        return body
    async with received(
        request, max_bytes=max_bytes, seconds=seconds, budget=budget, first=first
    ) as content:
        return content


@asynccontextmanager
async def received(
    request: Request,
    *,
    max_bytes: int,
    seconds: float,
    budget: BodyBudget,
    first: Message | None = None,
) -> AsyncIterator[bytes]:
    """The whole body, which counts against the budget until the block ends.

    first: the message that was taken from the request already, if one was. Raises 413 for more than
    `max_bytes`, 408 if it has not arrived after `seconds`, 503 if the process holds too many bytes
    of bodies already.
    """
    body = bytearray()
    try:
        try:
            async with asyncio.timeout(seconds):
                await _read(request, body, max_bytes, budget, first)
        except TimeoutError:
            reason = f"the body had not arrived after {seconds:g} s"
            raise problem(408, "slow-body", reason, headers=_CLOSE) from None
        yield bytes(body)
    finally:
        budget.held -= len(body)


async def _read(
    request: Request, body: bytearray, max_bytes: int, budget: BodyBudget, first: Message | None
) -> None:
    seen = 0
    more = True
    # A client that still writes when the connection closes sees no answer: what is too much is read
    # on for a while, and thrown away.
    while more and seen <= 2 * max_bytes:
        message = first or await request.receive()
        first = None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        seen += len(chunk)
        if seen > max_bytes:
            continue
        if budget.held + len(chunk) > budget.limit:
            raise problem(
                503,
                "busy",
                "too many bytes of requests are being read",
                headers={"retry-after": "1"} | _CLOSE,
            )
        budget.held += len(chunk)
        body += chunk
    if seen > max_bytes:
        reason = f"the body is larger than {max_bytes} bytes"
        raise problem(413, "too-large", reason, headers=_CLOSE if more else None)
