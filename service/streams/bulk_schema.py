"""What requests for many streams hold and are answered, as the OpenAPI document shows it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.streams.observation_request import Observation

MAX_NAME = 256
"""Characters of a `unique_id`."""

ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"
NDJSON = "application/x-ndjson"

LINES = """\
{"unique_id":"H1","ds":"2026-03-29T04:00:00Z","y":541.0}
{"unique_id":"H2","ds":"2026-03-29T04:00:00Z","y":null}
"""
ANSWERED = """\
{"unique_id":"H1","status":200,"ds":"2026-03-29T04:00:00+00:00","position":5,"duplicate":false,\
"late":false,"missing":0}
{"unique_id":"H2","type":"urn:gatecast:problem:unknown-stream","title":"Not Found","status":404,\
"detail":"no such stream; open it by PUT /v1/models/load/streams/{unique_id}"}
"""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must hold printable characters only")
    return text


class StreamObservation(Observation):
    """One value of one stream: a line of NDJSON."""

    unique_id: Annotated[str, Field(min_length=1, max_length=MAX_NAME), AfterValidator(_printable)]
    """The stream's name."""


class StreamObservations(BaseModel):
    """Observations of many streams; those of one stream in their order."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    observations: list[StreamObservation]


class ObservationResult(BaseModel):
    """What became of one observation; where `status` is not 200, what follows are a problem's."""

    model_config = ConfigDict(use_attribute_docstrings=True, extra="allow")

    unique_id: str | None
    """Its stream, null where the line does not name one."""
    status: int = Field(examples=[200, 404, 409, 410, 422])
    ds: str | int | None = None
    position: int | None = None
    """Its place in the stream's log, from 1."""
    duplicate: bool | None = None
    """Whether the log had it already, with the same value."""
    late: bool | None = None
    """Whether it was put before newer ones, as the stream's `rewind` allows."""
    missing: int | None = None
    """Steps that were left out before it."""
    version: str | None = None
    """The version that made the forecast."""
    warming: bool | None = None
    """Whether the model's window is not yet filled."""
    forecast: dict[str, Any] | None = None
    """After the last of the stream's observations that were taken, where forecasts are wanted."""


class StreamResults(BaseModel):
    """A result of each observation, in the request's order."""

    model: str
    version: str
    results: list[ObservationResult]
