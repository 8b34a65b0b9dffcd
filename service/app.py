"""The application: parts, routes and the edge put together."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib import metadata
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Route

from service import catalog, forecasts, health, metrics
from service.door import Door
from service.edge import Edge
from service.forecast_answer import ForecastAnswer
from service.forecast_request import ForecastRequest
from service.live import routes as live
from service.openapi import document
from service.operations import requests
from service.operations import routes as operations
from service.parts import running
from service.problems import ProblemError, fault_of, invalid, problem, response
from service.streams import bulk, events, routes, socket
from service.streams.bulk_schema import StreamObservation, StreamObservations, StreamResults
from store.settings import Settings

_DESCRIPTION = """
Forecasts of many series by recurrent networks that the model registry selects.

Every error is a problem (RFC 9457) that names what is wrong and where. Numbers are JSON numbers,
never NaN; a value that was not observed is `null`. Times are ISO 8601 with an offset, or whole
numbers where a model counts steps.
"""


_BODIES: list[type[BaseModel]] = [
    ForecastRequest,
    ForecastAnswer,
    StreamObservation,
    StreamObservations,
    StreamResults,
    requests.Promotion,
    requests.Rollback,
    requests.Retraining,
    requests.NewSchedule,
]
"""What routes read and write by hand, which FastAPI does not know of."""


class Application(FastAPI):
    """FastAPI whose OpenAPI document knows the bodies that our routes read themselves."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = document(self, _BODIES)
        return self.openapi_schema


def create_app(settings: Settings) -> FastAPI:
    """The service as an ASGI application. Nothing starts before its lifespan does."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(settings) as parts:
            app.state.parts = parts
            yield

    app = Application(
        title="Gatecast",
        version=_version(),
        summary="Sequence forecasts over HTTP",
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # their pages load scripts from elsewhere, which a closed network has not
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat whatever host the client named
    )
    # Observations come by the thousand a second: Starlette's own route costs them half of what the
    # documented one below does, which is never reached for them.
    app.router.routes.insert(0, Route(routes.OBSERVATIONS, routes.observe, methods=["POST"]))
    app.include_router(forecasts.router)
    app.include_router(catalog.router)
    app.include_router(live.router)
    app.include_router(routes.router)
    app.include_router(events.router)
    app.include_router(socket.router)
    app.include_router(bulk.router)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(operations.router)
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_status)
    app.add_exception_handler(RequestValidationError, _on_parameters)
    app.state.door = Door(settings.max_requests)
    app.add_middleware(Edge, door=app.state.door, trusted_hosts=settings.trusted_hosts)
    return app


async def _on_problem(_: Request, error: Exception) -> Response:
    return response(error) if isinstance(error, ProblemError) else _unexpected(error)


async def _on_status(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return _unexpected(error)
    return response(problem(error.status_code, headers=error.headers))


async def _on_parameters(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        return _unexpected(error)
    return response(invalid([fault_of(each, {}) for each in error.errors()]))


def _unexpected(error: Exception) -> Response:
    raise error


def _version() -> str:
    try:
        return metadata.version("gatecast")
    except metadata.PackageNotFoundError:
        return "0"
