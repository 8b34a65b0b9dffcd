"""What the OpenAPI document says beyond what FastAPI finds out by itself."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.examples import PROBLEM
from service.problems import MEDIA_TYPE, Problem

_PLACE = "#/components/schemas/{model}"
_SEEN: Mapping[int, str] = {
    400: "The body is no JSON",
    401: "Not an operator: the token is missing or another",
    404: "No such model or version",
    408: "The body arrived too slowly",
    409: "The version cannot serve, or the observation contradicts the stream's log",
    410: "The stream was closed or has expired",
    413: "More than a request may hold",
    415: "The body is not plain JSON",
    422: "The request is not what the model reads; every fault is located",
    429: "Too many requests wait for this stream",
    503: "Not now: `Retry-After` says when to ask again",
}


def reference(model: type[BaseModel]) -> dict[str, str]:
    """A reference to a schema that `document` defines."""
    return {"$ref": _PLACE.format(model=model.__name__)}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem answers of a route."""
    content = {MEDIA_TYPE: {"schema": reference(Problem), "example": PROBLEM}}
    return {
        status: {"description": _SEEN.get(status, HTTPStatus(status).phrase), "content": content}
        for status in statuses
    }


def document(app: FastAPI, models: list[type[BaseModel]]) -> dict[str, Any]:
    """The OpenAPI document of `app`, with schemas that only raw routes read and write."""
    described = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
    )
    described_models: list[type[BaseModel]] = [*models, Problem]
    _, definitions = models_json_schema(
        [(model, "validation") for model in described_models], ref_template=_PLACE
    )
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # ours are problems
        schemas.pop(name, None)
    schemas.update(definitions["$defs"])
    for path in described["paths"].values():
        for operation in path.values():
            answer = operation.get("responses", {}).get("422", {})
            if "application/json" in answer.get("content", {}):
                operation["responses"].update(
                    {str(status): value for status, value in problems(422).items()}
                )
    return described
