"""What goes wrong, as problem+json (RFC 9457): small, located, and never an echo of the input.

    ProblemError                an answer that is a problem, raised anywhere below a route
    invalid(faults)             422, each fault with its series and field
    Fault                       where it is wrong, and why

A field's name is shown only if it looks like a name; values never are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"
MAX_FAULTS = 20
"""Faults that one answer names; the others are only counted."""

_URN = "urn:gatecast:problem:"
_REASONS = {
    "extra_forbidden": "unknown field",
    "model_type": "must be an object",
    "missing": "is required",
}
_EITHER = ("str", "constrained-str", "int")
_NEITHER = ("string_type", "int_type")
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}  # RFC 9110's; Python's are older
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


class Fault(BaseModel):
    """One thing wrong in a request."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    field: str = Field(examples=["y[3]"])
    """The field, with the index of the value in it."""
    reason: str = Field(examples=["Input should be a finite number"])
    series: str | None = Field(default=None, examples=["H1"])
    """The `unique_id`, where the fault is in a series that has one."""
    index: int | None = Field(default=None, examples=[0])
    """The place of that series in the request, from 0."""


class Problem(BaseModel):
    """The body of every answer that is not a success; some kinds have members of their own."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, extra="allow")

    type: str = Field(examples=[f"{_URN}invalid-request"])
    """Which kind of problem: `about:blank` where the status says it all."""
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str | None = Field(default=None, examples=["1 fault"])
    errors: tuple[Fault, ...] = ()


class ProblemError(Exception):
    """An answer that is a problem. `headers` go out with it."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem
        self.headers = dict(headers or {})


def problem(
    status: int,
    kind: str | None = None,
    detail: str | None = None,
    *,
    faults: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> ProblemError:
    """A problem of a kind (the end of its URN; None where the status says it all).

    members: what the kind tells beyond the usual (RFC 9457, extension members).
    """
    return ProblemError(
        Problem(
            type="about:blank" if kind is None else _URN + kind,
            title=_title(status),
            status=status,
            detail=detail,
            errors=tuple(faults[:MAX_FAULTS]),
            **dict(members or {}),
        ),
        headers,
    )


def invalid(faults: Sequence[Fault]) -> ProblemError:
    """422 for a request that is JSON but not what the route reads."""
    count = len(faults)
    detail = "1 fault" if count == 1 else f"{count} faults"
    if count > MAX_FAULTS:
        detail += f", of which the first {MAX_FAULTS} are named"
    return problem(422, "invalid-request", detail, faults=faults)


def unknown(kind: str, field: str, reason: str) -> ProblemError:
    """404 for a name in the body or the path that stands for nothing here."""
    return problem(404, f"unknown-{kind}", reason, faults=[Fault(field=field, reason=reason)])


def busy(reason: str, seconds: int = 1) -> ProblemError:
    """503: nothing is wrong with the request, and it may be sent again in `seconds`."""
    return problem(503, "busy", reason, headers={"retry-after": str(seconds)})


def response(error: ProblemError) -> Response:
    """The answer that `error` stands for."""
    content = orjson.dumps(content_of(error.problem))
    return Response(content, error.problem.status, error.headers, media_type=MEDIA_TYPE)


def content_of(said: Problem) -> dict[str, Any]:
    """A problem as JSON has it: what says nothing is left out, but for a kind's own members."""
    body = said.model_dump(exclude_none=True, exclude=None if said.errors else {"errors"})
    return body | (said.model_extra or {})


def fault_of(error: Mapping[str, Any], series: Mapping[int, str]) -> Fault:
    """One of pydantic's errors, located. `series` maps a series' place to its `unique_id`."""
    location = tuple(error["loc"])
    reason = _REASONS.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ")[:200]
    if len(location) > 2 and location[-3] == "stat_exog" and location[-1] in ("str", "float"):
        location = location[:-1]  # which of two types it was not
        reason = "must be a number, text or null"
    elif len(location) > 1 and location[-1] in _EITHER and error["type"] in _NEITHER:
        location = location[:-1]
        reason = "must be text or a whole number"
    if location and location[-1] == "[key]":
        location = location[:-1]
    if len(location) > 1 and location[0] == "series" and isinstance(location[1], int):
        index = location[1]
        return Fault(
            field=path(location[2:]) or "series",
            reason=reason,
            series=shown(series[index]) if index in series else None,
            index=index,
        )
    return Fault(field=path(location) or "body", reason=reason)


def path(location: Sequence[int | str]) -> str:
    """`("exog", "price", 3)` as `exog.price[3]`; a name that looks like none is shown as `?`."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _PLAIN.match(part) else "?")
    return text[:200]


def shown(unique_id: str) -> str:
    """A series' own name, cut to what an error may hold."""
    return unique_id if len(unique_id) <= 64 else unique_id[:63] + "…"


def _title(status: int) -> str:
    try:
        return _TITLES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return "Error"
