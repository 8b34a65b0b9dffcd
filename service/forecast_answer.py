"""The answer to `POST /v1/forecast`, from the forecaster's numbers to JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.levels import at_levels, quantiles_of
from models.predict import point
from models.spec import Spec
from service.examples import FORECAST_ANSWER
from service.forecast_request import ForecastRequest
from service.problems import Fault, invalid, problem, shown
from service.series import Prepared
from service.slots import Loaded


class SeriesForecast(BaseModel):
    """One series' forecast, `h` steps. With `level`, also `lo-80`, `hi-80` and so on, (h,) each."""

    model_config = ConfigDict(
        use_attribute_docstrings=True,
        json_schema_extra={
            "patternProperties": {
                r"^(lo|hi)-[0-9.]+$": {"type": "array", "items": {"type": "number"}}
            }
        },
    )

    unique_id: str
    ds: list[str] | list[int]
    """The steps after the series' last, written as its own are."""
    mean: list[float]
    """The point forecast: the median, or what a point model predicts."""
    quantiles: dict[str, list[float]] | None = None
    """By level; absent for a point model and where `level` was asked for."""


class ForecastAnswer(BaseModel):
    """Forecasts in the order of the request's series."""

    model_config = ConfigDict(
        use_attribute_docstrings=True, json_schema_extra={"examples": [FORECAST_ANSWER]}
    )

    model: str
    version: str = Field(examples=["3"])
    """The version that made them."""
    forecasts: list[SeriesForecast]


@dataclass(frozen=True, slots=True)
class Columns:
    """What of the distribution was asked for. names: how the answer calls each of `quantiles`."""

    quantiles: tuple[float, ...]
    names: tuple[str, ...]
    nested: bool
    """Whether they stand in `quantiles`, or beside `mean` as interval bounds."""


def columns(
    spec: Spec, *, level: Sequence[float] | None, quantiles: Sequence[float] | None
) -> Columns:
    """The quantiles that a request asks for; raises 422 for those outside the trained range."""
    field, wanted = "quantiles", quantiles
    if level is not None:
        field, wanted = "level", quantiles_of(level)
    if wanted is None:
        return Columns(spec.quantiles, tuple(map(_quantile_name, spec.quantiles)), nested=True)
    asked = tuple(sorted(set(wanted)))
    try:
        at_levels(spec.quantiles, np.zeros(max(len(spec.quantiles), 1)), asked)
    except ValueError as error:
        raise invalid([Fault(field=field, reason=_range(spec, str(error), field))]) from None
    if level is None:
        return Columns(asked, tuple(map(_quantile_name, asked)), nested=True)
    return Columns(asked, tuple(map(_bound_name, asked)), nested=False)


def write(
    request: ForecastRequest,
    prepared: Prepared,
    loaded: Loaded,
    asked: Columns,
    values: NDArray[np.float64],
) -> bytes:
    """The answer's JSON from values (n, horizon, outputs).

    Raises 422 for series whose forecast is no finite number, as values near the largest make it.
    """
    spec = loaded.spec
    h = len(prepared.stamps[0])
    values = values[:, :h]
    _check_finite(request, values)
    mean = np.ascontiguousarray(point(spec, values))  # (n, h)
    # (n, Q, h), so that each quantile's row is contiguous and orjson writes it as it lies
    rows = np.ascontiguousarray(at_columns(spec, values, asked).transpose(0, 2, 1))
    forecasts: list[dict[str, Any]] = []
    for i, series in enumerate(request.series):
        named = dict(zip(asked.names, rows[i], strict=True))
        forecast = {"unique_id": series.unique_id, "ds": prepared.stamps[i], "mean": mean[i]}
        if not asked.nested:
            forecast |= named
        elif named:
            forecast["quantiles"] = named
        forecasts.append(forecast)
    answer = {"model": loaded.task, "version": loaded.version, "forecasts": forecasts}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def at_columns(spec: Spec, values: NDArray[np.float64], asked: Columns) -> NDArray[np.float64]:
    """The forecast (..., outputs) at the quantiles asked for (..., len(asked.quantiles))."""
    if asked.quantiles == spec.quantiles:
        return values if spec.quantiles else values[..., :0]
    return at_levels(spec.quantiles, values, asked.quantiles)


def _check_finite(request: ForecastRequest, values: NDArray[np.float64]) -> None:
    if not np.isfinite(values).all():
        reason = "has values too large or too far apart to be forecast"
        raise invalid(
            [
                Fault(field="y", reason=reason, series=shown(series.unique_id), index=index)
                for index, series in enumerate(request.series)
                if not np.isfinite(values[index]).all()
            ]
        )


def check_size(numbers: int, most: int) -> None:
    """Raise 413 where an answer would hold too many numbers."""
    if numbers > most:
        raise problem(413, "too-large", f"the answer would hold more than {most} numbers")


def _range(spec: Spec, reason: str, field: str) -> str:
    if field == "quantiles" or not spec.quantiles:
        return reason
    widest = 100 * min(1 - 2 * spec.quantiles[0], 2 * spec.quantiles[-1] - 1)
    return f"intervals are at most {_short(widest)} percent"


def _quantile_name(quantile: float) -> str:
    return _short(quantile)


def _bound_name(quantile: float) -> str:
    side = "lo" if quantile < 0.5 else "hi"
    return f"{side}-{_short(abs(200 * quantile - 100))}"


@lru_cache(maxsize=4096)
def _short(number: float) -> str:
    return f"{round(number, 10):.12g}"
