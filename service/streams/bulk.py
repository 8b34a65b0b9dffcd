"""`POST /v1/models/{model}/observations`: many streams in one request, answered line by line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from models.spec import Spec
from service.body import received
from service.openapi import problems, reference
from service.parts import Parts
from service.problems import Fault, ProblemError, invalid, problem
from service.slots import Loaded
from service.streams import bulk_answers
from service.streams.answers import Ask, ask, pairs_of
from service.streams.bulk_arrow import read_arrow
from service.streams.bulk_columns import Bulk
from service.streams.bulk_lines import read_array, read_lines
from service.streams.bulk_posting import post, post_and_open
from service.streams.bulk_schema import (
    ANSWERED,
    ARROW,
    JSON,
    LINES,
    NDJSON,
    ObservationResult,
    StreamObservation,
    StreamObservations,
    StreamResults,
)
from service.streams.jobs import Reply
from service.streams.routes import served

router = APIRouter(tags=["streams"])

_LINE_BYTES = 150
_NUMBER_BYTES = 18
_READ: dict[str, Callable[[bytes, Spec, int], Bulk]] = {
    NDJSON: read_lines,
    JSON: read_array,
    ARROW: read_arrow,
}
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        NDJSON: {"schema": reference(StreamObservation), "example": LINES},
        JSON: {"schema": reference(StreamObservations)},
        ARROW: _BYTES,
    },
}
_PARAMETERS: list[dict[str, Any]] = [
    {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}},
    *(
        {"name": name, "in": "query", "schema": {"type": kind}, "description": text}
        for name, kind, text in (
            ("forecast", "boolean", "whether the last line of each stream is to have a forecast"),
            ("open", "boolean", "whether streams that nobody opened are to be opened"),
            ("h", "integer", "steps of each forecast; the model's horizon where not given"),
            ("level", "string", "interval levels in percent, separated by commas"),
            ("quantiles", "string", "quantiles between 0 and 1, separated by commas"),
            ("timeout", "number", "seconds until the work must have begun"),
        )
    ),
]


@router.post(
    "/v1/models/{model}/observations",
    summary="Observe many streams",
    response_class=Response,
    responses={
        200: {
            "description": "A result of each observation, in order, each with its own status",
            "content": {
                NDJSON: {"schema": reference(ObservationResult), "example": ANSWERED},
                JSON: {"schema": reference(StreamResults)},
                ARROW: _BYTES,
            },
        },
        **problems(400, 404, 408, 413, 415, 422, 429, 503),
    },
    openapi_extra={"requestBody": _BODY, "parameters": _PARAMETERS},
)
async def observe_many(request: Request) -> Response:
    """Give many streams observations, each stream's in their order; answered as it was asked.

    The body is NDJSON (a line an observation; blank lines are left out), JSON, or an Arrow stream
    with the columns `unique_id`, `ds`, `y` and the model's covariates by name. A line that is
    amiss has a status of its own, and the others go on. What is answered 200 is durable. Sending it
    again is no fault: it is answered as a duplicate.
    """
    parts, loaded = served(request)
    media = _media_type(request)
    opens, asked = _asked(request, parts, loaded)
    if asked.wants and media == ARROW:
        reason = "forecasts are answered in JSON and NDJSON only"
        raise invalid([Fault(field="forecast", reason=reason)])
    settings, desk = parts.settings, parts.desk
    async with received(
        request,
        max_bytes=settings.max_body_bytes,
        seconds=settings.body_seconds,
        budget=parts.budget,
    ) as body:
        size = len(body)
        most = settings.max_observations
        bulk = await desk.do(size, _READ[media], body, loaded.spec, most)
    bulk_answers.check_forecasts(bulk, asked, settings.max_forecast_numbers)
    work: dict[str, Any] = {"wants": asked.wants, "seconds": asked.seconds}
    if opens:
        replies = await post_and_open(parts.engine, parts.streams, loaded, bulk.arrivals, **work)
    else:
        replies = await post(parts.engine, loaded.task, bulk.arrivals, **work)
    raise_if_none_could_begin(replies)
    numbers = len(replies) * asked.h * (len(asked.columns.names) + 1) if asked.wants else 0
    size = len(bulk) * _LINE_BYTES + numbers * _NUMBER_BYTES
    content = await desk.do(size, _written, media, loaded, bulk, replies, asked)
    return Response(content, media_type=media)


def _written(
    media: str, loaded: Loaded, bulk: Bulk, replies: Sequence[Reply | ProblemError], asked: Ask
) -> bytes:
    found = bulk_answers.results(bulk, replies, asked)
    if media == NDJSON:
        return bulk_answers.ndjson(found)
    return bulk_answers.arrow(found) if media == ARROW else bulk_answers.json(found, loaded)


def raise_if_none_could_begin(replies: Sequence[Reply | ProblemError]) -> None:
    """Raise the 503 that every stream has: who retries what is 503 then needs to read no lines."""
    refused = [reply for reply in replies if isinstance(reply, ProblemError)]
    down = [error for error in refused if error.problem.status == 503]
    if down and len(down) == len(replies):
        raise down[0]


def _media_type(request: Request) -> str:
    """The body's media type, one of those that are read. Raises 415."""
    media, _, parameters = request.headers.get("content-type", "").partition(";")
    media = media.strip().lower()
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if media not in _READ or charset not in ("", "charset=utf-8"):
        raise problem(
            415,
            "unsupported-media-type",
            f"the body must be {NDJSON} or {JSON} in UTF-8, or {ARROW}",
            headers={"accept": ", ".join(_READ)},
        )
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise problem(
            415,
            "unsupported-media-type",
            "the body must not be compressed",
            headers={"accept-encoding": "identity"},
        )
    return media


def _asked(request: Request, parts: Parts, loaded: Loaded) -> tuple[bool, Ask]:
    """Whether streams are to be opened, and what else the query asks for. Raises 422."""
    pairs = pairs_of(request.scope["query_string"].decode("latin-1"))
    given = [value for name, value in pairs if name == "open"]
    if any(value not in ("true", "false") for value in given):
        raise invalid([Fault(field="open", reason="must be true or false")])
    rest = urlencode([(name, value) for name, value in pairs if name != "open"])
    seconds = parts.settings.request_seconds
    return given[-1:] == ["true"], ask(rest, loaded.spec, wants=False, seconds=seconds)
