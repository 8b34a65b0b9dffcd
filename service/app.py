"""The application: parts, routes and the edge put together."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib import metadata
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from service import catalog, forecasts, health
from service.edge import Edge
from service.forecast_answer import ForecastAnswer
from service.forecast_request import ForecastRequest
from service.openapi import document
from service.parts import running
from service.problems import ProblemError, fault_of, invalid, problem, response
from store.settings import Settings

_DESCRIPTION = """
Forecasts of many series by recurrent networks that the model registry selects.

Every error is a problem (RFC 9457) that names what is wrong and where. Numbers are JSON numbers,
never NaN; a value that was not observed is `null`. Times are ISO 8601 with an offset, or whole
numbers where a model counts steps.
"""


class Application(FastAPI):
    """FastAPI whose OpenAPI document knows the bodies that our routes read themselves."""

    def openapi(self) -> dict[str, Any]:
        """The document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = document(self, [ForecastRequest, ForecastAnswer])
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
    app.include_router(forecasts.router)
    app.include_router(catalog.router)
    app.include_router(health.router)
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(HTTPException, _on_status)
    app.add_exception_handler(RequestValidationError, _on_parameters)
    app.add_middleware(
        Edge, max_requests=settings.max_requests, trusted_hosts=settings.trusted_hosts
    )
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
