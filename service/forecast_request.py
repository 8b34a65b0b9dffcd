"""The body of `POST /v1/forecast`, as it may be written."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from models.spec import MAX_HORIZON
from service.examples import FORECAST_REQUEST
from service.json_body import read_json
from service.problems import Fault, fault_of, invalid, problem, shown
from store.conventions import AliasName, TaskName, VersionName

_STRICT = ConfigDict(
    strict=True,
    extra="forbid",
    frozen=True,
    allow_inf_nan=False,
    use_attribute_docstrings=True,
)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must hold printable characters only")
    return text


def _digits(value: object) -> object:
    return str(value) if type(value) is int and 0 < value < 10**9 else value


# The first fault of a list is enough: a list of a million faults is an attack.
Values = Annotated[list[float | None], Field(fail_fast=True)]
Stamp = Annotated[str, Field(max_length=64)] | int
Stamps = Annotated[list[Stamp], Field(fail_fast=True, min_length=1)]
Name = Annotated[str, Field(min_length=1, max_length=128)]


class SeriesBody(BaseModel):
    """One series up to its forecast origin."""

    model_config = _STRICT

    unique_id: Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_printable)]
    """Its name, for the answer."""
    ds: Stamps | None = None
    """When each value was observed: ISO 8601 times with an offset, or whole numbers where the model
    counts steps. Ascending, on the model's grid; a step left out is a missing value."""
    start: Stamp | None = None
    """The first of evenly spaced `ds`, instead of them. A model that counts steps starts at 0 where
    neither is given."""
    y: Annotated[Values, Field(min_length=1)]
    """The values, null where nothing was observed."""
    exog: Annotated[dict[Name, Values], Field(max_length=512)] = {}
    """Each of the model's covariates that change with time (`hist_exog` and `futr_exog`), by name:
    one value for each of `y`, null where unknown."""
    futr_exog: Annotated[
        dict[Name, Annotated[Values, Field(max_length=MAX_HORIZON)]], Field(max_length=256)
    ] = {}
    """Each of the model's `futr_exog` after the last of `y`: at least `h` values, at most those or
    the model's horizon; null, or past the end, is unknown."""
    stat_exog: Annotated[dict[Name, str | float | None], Field(max_length=256)] = {}
    """Each of the model's covariates that never change: a number, or one of the model's
    `categories`; null is unknown, and stands for a category that the model never saw."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.ds is not None and self.start is not None:
            raise ValueError("ds and start exclude each other")
        if self.ds is not None and len(self.ds) != len(self.y):
            raise ValueError(f"ds has {len(self.ds)} values and y {len(self.y)}")
        return self


class ForecastRequest(BaseModel):
    """Series, and the model that shall continue them."""

    model_config = _STRICT | {"json_schema_extra": {"examples": [FORECAST_REQUEST]}}

    model: TaskName
    """A task that is served here, as `GET /v1/models` lists them."""
    version: Annotated[VersionName, BeforeValidator(_digits)] | None = None
    """A version of it; the champion if neither this nor `alias` is given."""
    alias: AliasName | None = None
    """The version that bears this alias in the registry."""
    h: Annotated[int, Field(ge=1, le=MAX_HORIZON)] | None = None
    """Steps to forecast: the model's horizon if not given. For more the model's own forecasts are
    fed back, and intervals widen."""
    level: (
        Annotated[
            list[Annotated[float, Field(gt=0, lt=100)]],
            Field(fail_fast=True, min_length=1, max_length=32),
        ]
        | None
    ) = None
    """Central intervals in percent, answered as `lo-80` and `hi-80`; excludes `quantiles`."""
    quantiles: (
        Annotated[
            list[Annotated[float, Field(gt=0, lt=1)]],
            Field(fail_fast=True, min_length=1, max_length=99),
        ]
        | None
    ) = None
    """Quantiles within the trained range; those that were trained if neither is given."""
    freq: Annotated[str, Field(max_length=32)] | None = None
    """The frequency that the series are meant to have; refused if it is not the model's."""
    timezone: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """IANA name of the zone in which times without an offset are meant, and in which the answer's
    are written. Times without an offset are refused where this is not given."""
    series: Annotated[list[SeriesBody], Field(min_length=1)]
    """The series, each with a name of its own."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.version is not None and self.alias is not None:
            raise ValueError("version and alias exclude each other")
        if self.level is not None and self.quantiles is not None:
            raise ValueError("level and quantiles exclude each other")
        return self


def read_request(body: bytes, *, max_series: int) -> ForecastRequest:
    """The request that a body spells. Raises 400, 413 or 422, with every fault located."""
    value = read_json(body)
    series = value.get("series") if isinstance(value, dict) else None
    if isinstance(series, list) and len(series) > max_series:
        raise problem(413, "too-large", f"more than {max_series} series in one request")
    try:
        request = ForecastRequest.model_validate(value)
    except ValidationError as error:
        names = _names(series)
        faults = [fault_of(each, names) for each in error.errors(include_url=False)]
        raise invalid(list(dict.fromkeys(faults))) from None
    _check_names(request.series)
    return request


def _check_names(series: list[SeriesBody]) -> None:
    seen: set[str] = set()
    faults: list[Fault] = []
    for index, one in enumerate(series):
        if one.unique_id in seen:
            name = shown(one.unique_id)
            faults.append(Fault(field="unique_id", reason="occurs twice", series=name, index=index))
        seen.add(one.unique_id)
    if faults:
        raise invalid(faults)


def _names(series: Any) -> dict[int, str]:
    """The `unique_id` of each series of a body that failed, as far as it can be shown."""
    if not isinstance(series, list):
        return {}
    names = ((i, one.get("unique_id")) for i, one in enumerate(series) if isinstance(one, dict))
    return {i: name for i, name in names if isinstance(name, str) and name.isprintable() and name}
