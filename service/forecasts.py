"""`POST /v1/forecast`: many series, one version, one answer."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.body import check_media_type, received
from service.clients import unless_gone
from service.desk import LARGE
from service.examples import FORECAST_ANSWER, FORECAST_REQUEST, LEVEL_REQUEST
from service.forecast_answer import ForecastAnswer, check_size, columns, write
from service.forecast_request import ForecastRequest, read_request
from service.openapi import problems, reference
from service.parts import Parts, PartsOf
from service.problems import busy
from service.series import Bounds, prepare

router = APIRouter(tags=["forecasts"])

_NUMBER_BYTES = 18  # of JSON, of most float64

_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": reference(ForecastRequest),
            "examples": {
                "quantiles": {"summary": "Quantiles, times given", "value": FORECAST_REQUEST},
                "level": {"summary": "Intervals, evenly spaced", "value": LEVEL_REQUEST},
            },
        }
    },
}


@router.post(
    "/v1/forecast",
    summary="Forecast series",
    response_class=Response,
    responses={
        200: {
            "description": "A forecast of each series, in order",
            "content": {
                "application/json": {
                    "schema": reference(ForecastAnswer),
                    "example": FORECAST_ANSWER,
                }
            },
        },
        **problems(400, 404, 408, 409, 413, 415, 422, 503),
    },
    openapi_extra={"requestBody": _BODY},
)
async def forecast(request: Request, parts: PartsOf) -> Response:
    """Forecast the steps that follow each series, by the champion or a version that is named."""
    settings = parts.settings
    check_media_type(request)
    async with received(
        request,
        max_bytes=settings.max_body_bytes,
        seconds=settings.body_seconds,
        budget=parts.budget,
    ) as body:
        size = len(body)
        asked = await parts.desk.do(size, read_request, body, max_series=settings.max_series)
    try:
        async with asyncio.timeout(settings.request_seconds):
            content = await _answer(request, parts, asked, size)
    except TimeoutError:
        raise busy(f"no forecast within {settings.request_seconds:g} s") from None
    return Response(content, media_type="application/json")


async def _answer(request: Request, parts: Parts, asked: ForecastRequest, size: int) -> bytes:
    settings, desk = parts.settings, parts.desk
    loaded = await parts.library.find(asked.model, version=asked.version, alias=asked.alias)
    spec = loaded.spec
    h = asked.h or spec.horizon
    wanted = columns(spec, level=asked.level, quantiles=asked.quantiles)
    numbers = len(asked.series) * h * (len(wanted.names) + 1)
    check_size(numbers, settings.max_forecast_numbers)
    bounds = Bounds(settings.max_points, settings.max_total_points)
    # A zone's changes over centuries are a third of a second to look up: not on the event loop.
    elsewhere = "UTC" not in (asked.timezone, spec.timeline.timezone)
    prepared = await desk.do(LARGE if elsewhere else size, prepare, asked, spec, bounds)
    values = await unless_gone(request, parts.batcher.forecast(loaded, prepared.contexts, h))
    return await desk.do(numbers * _NUMBER_BYTES, write, asked, prepared, loaded, wanted, values)
