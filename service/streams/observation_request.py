"""The bodies of requests about one stream, as they may be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.categories import stat_value
from models.spec import Spec
from models.timeline import DsError
from service.json_body import read_json, validated
from service.problems import Fault, invalid
from service.streams import stamps
from service.streams.arrival import Arrival
from service.streams.covariates import write_covariates

LARGEST = 1e17
"""The largest value of an observation, and of a covariate: squares of a window of them still are
float32 numbers."""
_STRICT = ConfigDict(
    strict=True, extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
)

Name = Annotated[str, Field(min_length=1, max_length=128)]
Value = Annotated[float, Field(ge=-LARGEST, le=LARGEST)] | None
Covariate = Annotated[float, Field(ge=-LARGEST, le=LARGEST)] | None
Stamp = Annotated[str, Field(max_length=64)] | int
Values = Annotated[list[Value], Field(fail_fast=True, min_length=1)]
Covariates = Annotated[list[Covariate], Field(fail_fast=True)]
Future = Annotated[dict[Name, Annotated[Covariates, Field(max_length=4096)]], Field(max_length=256)]


class Observation(BaseModel):
    """One value of a series."""

    model_config = _STRICT

    ds: Stamp
    """When: an ISO 8601 time with an offset, or a whole number where the model counts steps."""
    y: Value
    """The value, null where nothing was observed."""
    exog: Annotated[dict[Name, Covariate], Field(max_length=512)] = {}
    """The model's covariates that change with time, by name; null where unknown."""


class OneObservation(Observation):
    """One value, and what is known of the future."""

    futr_exog: Future = {}
    """The model's `futr_exog` of the steps after it, for the forecast that is answered."""


class ManyObservations(BaseModel):
    """Values of one series, in their order."""

    model_config = _STRICT

    observations: Annotated[list[Observation], Field(min_length=1, fail_fast=True)]
    futr_exog: Future = {}
    """The model's `futr_exog` of the steps after the last, for the forecast that is answered."""


class History(BaseModel):
    """What a series has been so far."""

    model_config = _STRICT

    ds: Annotated[list[Stamp], Field(fail_fast=True, min_length=1)] | None = None
    """When each value was observed, ascending; a step left out is a missing value."""
    start: Stamp | None = None
    """The first of evenly spaced `ds`, instead of them."""
    y: Values
    """The values, null where nothing was observed."""
    exog: Annotated[dict[Name, Covariates], Field(max_length=512)] = {}
    """The model's covariates that change with time: a list as long as `y` each."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.ds is None) == (self.start is None):
            raise ValueError("ds or start is required, and not both")
        if self.ds is not None and len(self.ds) != len(self.y):
            raise ValueError(f"ds has {len(self.ds)} values and y {len(self.y)}")
        for name, values in self.exog.items():
            if len(values) != len(self.y):
                raise ValueError(f"exog.{name[:64]} has {len(values)} values, y {len(self.y)}")
        return self


class StreamBody(BaseModel):
    """How a stream is opened. On one that is open already, what is given is changed."""

    model_config = _STRICT

    history: History | None = None
    """Observations that are to be its first, or that it has already."""
    stat_exog: Annotated[dict[Name, str | float | None], Field(max_length=256)] = {}
    """The model's covariates that never change, a number or one of its `categories` each, null
    where unknown; they cannot be changed later."""
    rewind: Annotated[int, Field(ge=0, le=4096)] = 0
    """How many steps late an observation may come; 0 refuses it."""
    max_gap: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Missing steps in a row that are masked; after more, the stream begins anew. The model's
    window where not given."""
    ttl_hours: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """Hours without an observation after which the stream expires; never where not given."""
    exact: bool = False
    """Whether a new version of the model replays all of the log, not only what it remembers."""


def read_one_or_many(body: bytes) -> OneObservation | ManyObservations:
    """An observation, or `{"observations": […]}`. Raises 400, 413 or 422."""
    value = read_json(body)
    if isinstance(value, dict) and "observations" in value:
        return validated(ManyObservations, value)
    return validated(OneObservation, value)


def read_stream(body: bytes) -> StreamBody:
    """The body of a PUT, which may be empty. Raises 400, 413 or 422."""
    return validated(StreamBody, read_json(body) if body else {})


def arrival_of(spec: Spec, unique_id: str, observations: Sequence[Observation]) -> Arrival:
    """What an engine is given. Raises 422 for a time that is none, and for covariates amiss."""
    try:
        if len(observations) == 1:
            ds = [stamps.read_one(spec.timeline, observations[0].ds)]
        else:
            ds = stamps.read(spec.timeline, [each.ds for each in observations]).tolist()
    except DsError as error:
        place = "ds" if len(observations) == 1 else f"observations[{error.index}].ds"
        raise invalid([Fault(field=place, reason=error.reason)]) from None
    y = [float("nan") if each.y is None else each.y for each in observations]
    exog: list[str] | None = None
    names = spec.hist_exog + spec.futr_exog
    if names or any(each.exog for each in observations):
        for index, each in enumerate(observations):
            check_names(f"observations[{index}].exog", each.exog, names)
        exog = [write_covariates(each.exog) or "{}" for each in observations]
    return Arrival(unique_id, ds, y, exog)


def history_of(spec: Spec, unique_id: str, history: History) -> Arrival:
    """A history as an arrival. Raises 422 as `arrival_of`, and where `ds` does not ascend."""
    timeline = spec.timeline
    try:
        ds = stamps.read(timeline, history.ds or [history.start or 0])
        if history.ds is None:
            first = stamps.clock_of(timeline, ds)[0]
            ds = stamps.numbers_of(timeline.at(first, np.arange(len(history.y))))
    except DsError as error:
        field = "history.start" if history.ds is None else f"history.ds[{error.index}]"
        raise invalid([Fault(field=field, reason=error.reason)]) from None
    if (steps := np.diff(ds) <= 0).any():
        field = f"history.ds[{int(steps.argmax()) + 1}]"
        raise invalid([Fault(field=field, reason="is not later than the one before it")])
    names = spec.hist_exog + spec.futr_exog
    check_names("history.exog", history.exog, names)
    exog: list[str] | None = None
    if names:
        columns = [history.exog[name] for name in names]
        rows = zip(*columns, strict=True)
        exog = [write_covariates(dict(zip(names, row, strict=True))) or "{}" for row in rows]
    y = np.array(history.y, np.float64).tolist()  # null becomes NaN
    return Arrival(unique_id, ds.tolist(), y, exog)


def future_of(
    spec: Spec, futr: Mapping[str, Sequence[float | None]], h: int
) -> NDArray[np.float32] | None:
    """(horizon, n_futr) float32, NaN where unknown; None where nothing was given.

    Raises 422 for names amiss and for lists of another length than h to the horizon.
    """
    if not futr:
        return None
    check_names("futr_exog", futr, spec.futr_exog)
    values = np.full((spec.horizon, len(spec.futr_exog)), np.nan, np.float32)
    for column, name in enumerate(spec.futr_exog):
        given = futr[name]
        if not h <= len(given) <= spec.horizon:
            reason = f"has {len(given)} values, not {h} to {spec.horizon}"
            raise invalid([Fault(field=f"futr_exog.{name}", reason=reason)])
        values[: len(given), column] = np.array(given, np.float64)
    return values


def check_stat(spec: Spec, given: Mapping[str, str | float | None]) -> None:
    """Raise 422 unless exactly the model's covariates that never change are given, as it knows
    them."""
    check_names("stat_exog", given, spec.stat_exog)
    for name, value in given.items():
        try:
            stat_value(spec, name, value)
        except ValueError as error:
            raise invalid([Fault(field=f"stat_exog.{name}", reason=str(error))]) from None


def check_names(field: str, given: Mapping[str, object], wanted: Sequence[str]) -> None:
    """Raise 422 unless exactly the wanted covariates are given."""
    for name in wanted:
        if name not in given:
            raise invalid([Fault(field=f"{field}.{name}", reason="is required by the model")])
    if len(given) > len(wanted):
        known = ", ".join(wanted[:8]) if wanted else "none"
        reason = f"has covariates that the model does not know; it knows {known}"
        raise invalid([Fault(field=field, reason=reason)])
