"""The bodies of operations, and how they are read."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from service.body import check_media_type, received
from service.json_body import read_json, validated
from service.parts import Parts

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)
_PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"

T = TypeVar("T", bound=BaseModel)

Line = Annotated[str, StringConstraints(max_length=500, pattern=_PRINTABLE)]
Person = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9._@+ -]*$")]


class Promotion(BaseModel):
    """A version that is to serve."""

    model_config = _STRICT

    version: Annotated[int, Field(ge=1, lt=2**31)]
    """Its number."""
    force: bool = False
    """Whether to pass over the gate; then `reason` must say why."""
    reason: Line = ""
    """Why, for the record."""
    by: Person = "http"
    """Who does it, for the record."""

    @model_validator(mode="after")
    def _said_why(self) -> Promotion:
        if self.force and not self.reason.strip():
            raise ValueError("to pass over the gate, say why in `reason`")
        return self


class Rollback(BaseModel):
    """A return to the version before."""

    model_config = _STRICT

    reason: Line = ""
    """Why, for the record."""
    by: Person = "http"
    """Who does it, for the record."""


class Retraining(BaseModel):
    """A retraining that is to begin now, on what the task's schedule names, or its own log."""

    model_config = _STRICT

    by: Person = "http"
    """Who asks for it, for the record."""


class NewSchedule(BaseModel):
    """When a task is to be retrained. What it learns from stays as it was set on the command line;
    a task without a schedule learns from its own observations."""

    model_config = _STRICT

    cron: Annotated[str, StringConstraints(max_length=200, pattern=_PRINTABLE)] | None = None
    """Minute, hour, day, month, weekday; null for by hand and by drift only."""
    timezone: Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")] = (
        "UTC"
    )
    """Time zone that `cron` is read in."""
    missed: Annotated[str, StringConstraints(pattern="^(skip|latest|all)$")] = "latest"
    """Of due times that nobody was there for, run which: skip, latest or all."""
    on_drift: bool = False
    """Whether drift of the live scores starts a retraining."""
    cooldown_hours: Annotated[float, Field(ge=0, le=1e5, allow_inf_nan=False)] = 24.0
    """Hours after a retraining in which drift starts no other."""
    enabled: bool = True
    """Whether it makes runs; false pauses it."""


async def read_body(request: Request, parts: Parts, model: type[T]) -> T:
    """The request's JSON, `{}` where there is none. Raises 400, 408, 413, 415, 422."""
    settings = parts.settings
    async with received(
        request,
        max_bytes=min(settings.max_body_bytes, 16_384),
        seconds=settings.body_seconds,
        budget=parts.budget,
    ) as content:
        if not content:
            return validated(model, {})
        check_media_type(request)
        return validated(model, read_json(content))
