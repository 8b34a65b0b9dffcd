"""Routes of one stream: open, inspect, observe, forecast, close.

They read the request by hand: at thousands of observations a second what FastAPI would do for each
of them costs more than the forecast.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.requests import HTTPConnection

from service.body import check_media_type, received, received_at_once
from service.library import unavailable
from service.parts import Parts
from service.problems import Fault, ProblemError, invalid
from service.slots import Loaded
from service.streams import refusals
from service.streams.answers import Ask, ask, dumped, status_of
from service.streams.answers import refused as refused_of
from service.streams.arrival import Arrival
from service.streams.jobs import Reply
from service.streams.observation_request import (
    ManyObservations,
    Observation,
    OneObservation,
    arrival_of,
    future_of,
    read_one_or_many,
    read_stream,
)

router = APIRouter(prefix="/v1/models/{model}/streams", tags=["streams"])

OBSERVATIONS = f"{router.prefix}/{{unique_id}}/observations"
_JSON = "application/json"


@router.get("", summary="Streams of a model", response_class=Response)
async def list_streams(request: Request) -> Response:
    """The streams of a model by name, `limit` of them that come after `after`."""
    parts, loaded = served(request)
    query = request.query_params
    limit = query.get("limit", "100")
    if not (limit.isascii() and limit.isdecimal() and 0 < int(limit[:5]) <= 1_000):
        raise invalid([Fault(field="limit", reason="must be a whole number from 1 to 1000")])
    after = query.get("after")
    if after is not None and not after.isprintable():
        raise invalid([Fault(field="after", reason="is no name of a stream")])
    async with _in_time(parts):
        names = await parts.streams.names(loaded.task, after, int(limit))
    return _json({"model": loaded.task, "streams": names})


@router.put("/{unique_id}", summary="Open a stream", response_class=Response)
async def open_stream(request: Request) -> Response:
    """Open a stream, with its history if there is one; 201 where it is new.

    On a stream that is there, what is given is changed, one that was closed is opened again, and a
    history adds what the log does not have.
    """
    parts, loaded = served(request)
    unique_id = name_of(request)
    settings = parts.settings
    async with received(
        request,
        max_bytes=settings.max_body_bytes,
        seconds=settings.body_seconds,
        budget=parts.budget,
    ) as content:
        if content:
            check_media_type(request)
        body = await parts.desk.do(len(content), read_stream, content)
    points = 0 if body.history is None else len(body.history.y)
    if points > settings.max_points:
        reason = f"has more than {settings.max_points} values"
        raise invalid([Fault(field="history.y", reason=reason)])
    async with _in_time(parts):
        reply, made = await parts.streams.open(loaded, unique_id, body, settings.request_seconds)
    refused = next((each for each in reply.outcomes if not each.accepted), None)
    if refused is not None:
        raise refused_of(refused, reply, None)
    return _json(status_of(reply, unique_id), 201 if made else 200)


@router.get("/{unique_id}", summary="Inspect a stream", response_class=Response)
async def get_stream(request: Request) -> Response:
    """How far a stream has come, what comes next, and how its state was made."""
    parts, loaded = served(request)
    unique_id = name_of(request)
    asked = asked_of(request, parts, loaded, wants=False)
    return _json(status_of(await read_stream_now(parts, loaded, unique_id, asked), unique_id))


@router.delete("/{unique_id}", summary="Close a stream", response_class=Response)
async def close_stream(request: Request) -> Response:
    """Close a stream. Its observations stay; a PUT opens it again."""
    parts, loaded = served(request)
    async with _in_time(parts):
        return _json(await parts.streams.close(loaded, name_of(request)))


@router.get("/{unique_id}/snapshot", summary="A stream as a file", response_class=Response)
async def get_snapshot(request: Request) -> Response:
    """A stream's options and observations: the body of the PUT that opens the same elsewhere."""
    parts, loaded = served(request)
    async with _in_time(parts):
        return _json(await parts.streams.snapshot(loaded, name_of(request)))


@router.get("/{unique_id}/forecast", summary="Forecast a stream", response_class=Response)
async def get_forecast(request: Request) -> Response:
    """The forecast after the newest observation. Changes nothing."""
    parts, loaded = served(request)
    unique_id = name_of(request)
    asked = asked_of(request, parts, loaded, wants=True)
    reply = await read_stream_now(parts, loaded, unique_id, asked)
    return Response(parts.writer.read(reply, unique_id, asked), media_type=_JSON)


@router.post("/{unique_id}/observations", summary="Observe", response_class=Response)
async def observe(request: Request) -> Response:
    """Give a stream one observation, or several in their order, and have the forecast that follows.

    One is answered by a status of the request; of several each has a status of its own. What is
    answered 200 is durable. Sending it again is no fault: it is answered as a duplicate.
    """
    parts, loaded = served(request)
    unique_id = name_of(request)
    asked = asked_of(request, parts, loaded, wants=False)
    check_media_type(request)
    settings = parts.settings
    content = await received_at_once(
        request,
        max_bytes=settings.max_body_bytes,
        seconds=settings.body_seconds,
        budget=parts.budget,
    )
    body = await parts.desk.do(len(content), read_one_or_many, content)
    observations = _observations(body)
    arrival = arrival_of(loaded.spec, unique_id, observations)
    futr = future_of(loaded.spec, body.futr_exog, asked.h)
    [reply] = await parts.engine.post(
        loaded.task, [arrival], wants=asked.wants, seconds=asked.seconds, futr=futr
    )
    if isinstance(reply, ProblemError):
        raise reply
    if isinstance(body, OneObservation):
        answer = parts.writer.one(reply, unique_id, asked, body.y)
    else:
        answer = parts.writer.many(reply, unique_id, asked, [each.y for each in observations])
    return Response(answer, media_type=_JSON)


def served(request: HTTPConnection) -> tuple[Parts, Loaded]:
    """The parts, and the version that serves the path's model. Raises 404, 503."""
    parts: Parts = request.app.state.parts
    slot = parts.library.slot(request.path_params["model"])
    if slot.champion is None:
        raise unavailable(slot)
    return parts, slot.champion


def name_of(request: Request) -> str:
    """The stream that the path names. Raises 422 for what is no name."""
    name: str = request.path_params["unique_id"]
    if not 0 < len(name) <= 256 or not name.isprintable():
        reason = "must be 1 to 256 printable characters"
        raise invalid([Fault(field="unique_id", reason=reason)])
    return name


def asked_of(request: Request, parts: Parts, loaded: Loaded, *, wants: bool) -> Ask:
    """What the query asks for."""
    query = request.scope["query_string"].decode("latin-1")
    return ask(query, loaded.spec, wants=wants, seconds=parts.settings.request_seconds)


async def read_stream_now(parts: Parts, loaded: Loaded, unique_id: str, asked: Ask) -> Reply:
    """A stream as it is now. Raises its problem where it is not to be had."""
    [reply] = await parts.engine.post(
        loaded.task, [Arrival(unique_id)], wants=asked.wants, seconds=asked.seconds
    )
    if isinstance(reply, ProblemError):
        raise reply
    return reply


@contextlib.asynccontextmanager
async def _in_time(parts: Parts) -> AsyncIterator[None]:
    """Raises 503 where the block takes longer than a request may."""
    try:
        async with asyncio.timeout(parts.settings.request_seconds):
            yield
    except TimeoutError:
        raise refusals.unanswered() from None


def _observations(body: OneObservation | ManyObservations) -> list[Observation]:
    return [body] if isinstance(body, OneObservation) else body.observations


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(dumped(value), status, media_type=_JSON)
