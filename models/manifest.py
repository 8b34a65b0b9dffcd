"""What a bundle says about its forecaster: everything but the weights, as one frozen value."""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .context import Context
from .spec import Spec
from .warming import Warming

WEIGHTS = "weights.safetensors"
"""The only file beside the manifest that format 1 knows."""

GOLDEN_STEPS = 128
"""Steps that a golden input has beyond the window, so that the state has a past to carry."""
_LONGEST_GOLDEN = 8192 + GOLDEN_STEPS  # the longest window that a spec may ask for, and these

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}\z")]
Count = Annotated[int, Field(ge=0, le=2**53)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Stamp = Annotated[str, Field(max_length=64)] | int
Number = float | None
Row = Annotated[tuple[Number, ...], Field(max_length=8192)]

_FROZEN = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class FileFacts(BaseModel):
    """A file of the bundle."""

    model_config = _FROZEN

    sha256: Sha256
    bytes: Count


class DataFacts(BaseModel):
    """What the forecaster was fitted to.

    `first` and `last` are ISO 8601 times with an offset, or integer steps; `n_observations` counts
    observed values, not steps; `digest` is over ids, stamps, values and covariates.
    """

    model_config = _FROZEN

    n_series: Count
    n_observations: Count
    first: Stamp
    last: Stamp
    digest: Sha256
    source: Annotated[str, Field(max_length=4096)]


class Score(BaseModel):
    """A metric's mean over all series and windows, as a whole and at each step of the horizon.

    None stands where the metric has no value: nothing observed, or a point head's intervals.
    """

    model_config = _FROZEN

    overall: Number
    by_horizon: Annotated[tuple[Number, ...], Field(max_length=4096)]


class Standing(BaseModel):
    """How one forecaster or baseline did, by metric, on the series and windows that it answered."""

    model_config = _FROZEN

    n_series: Count
    n_windows: Count
    metrics: Annotated[dict[Name, Score], Field(max_length=64)]


class Scores(BaseModel):
    """How forecaster and baselines did in a rolling-origin backtest.

    `windows` is the digest of what was scored: equal digests, comparable scores. `season` is what
    errors are scaled by.
    """

    model_config = _FROZEN

    windows: Sha256
    step_size: Count
    season: Count
    horizon: Count
    forecaster: Standing
    baselines: Annotated[dict[Name, Standing], Field(max_length=32)]


class Golden(BaseModel):
    """One context and what the forecaster made of it, held against at every load.

    A `models.context.Context` in rows, None for NaN, and outputs (horizon, spec.outputs).
    """

    model_config = _FROZEN

    y: Annotated[tuple[Number, ...], Field(min_length=1, max_length=_LONGEST_GOLDEN)]
    exog: Annotated[tuple[Row, ...], Field(max_length=_LONGEST_GOLDEN)]
    futr: Annotated[tuple[Row, ...], Field(max_length=4096)]
    stat: Row
    outputs: Annotated[
        tuple[Annotated[tuple[float, ...], Field(max_length=99)], ...], Field(max_length=4096)
    ]

    def context(self, spec: Spec) -> Context:
        """The context in arrays, shaped as `spec` asks."""
        return Context(
            y=np.array(self.y, dtype=np.float64),
            exog=_array(self.exog).reshape(len(self.y), spec.exog_size),
            futr=_array(self.futr).reshape(spec.horizon, spec.n_futr),
            stat=_array(self.stat).reshape(len(spec.stat_exog)),
        )

    @classmethod
    def of(cls, context: Context, outputs: NDArray[np.float64]) -> Self:
        """The rows of a context and of the forecasts (horizon, outputs) made from it."""
        return cls(
            y=_row(context.y),
            exog=tuple(_row(row) for row in context.exog),
            futr=tuple(_row(row) for row in context.futr),
            stat=_row(context.stat),
            outputs=tuple(tuple(row) for row in outputs.tolist()),
        )

    def misfit(self, spec: Spec) -> str | None:
        """What does not have the shape that `spec` asks, or None."""
        shapes = (
            ("exog", self.exog, len(self.y), spec.exog_size),
            ("futr", self.futr, spec.horizon, spec.n_futr),
            ("stat", (self.stat,), 1, len(spec.stat_exog)),
            ("outputs", self.outputs, spec.horizon, spec.outputs),
        )
        for name, rows, count, width in shapes:
            if len(rows) != count or any(len(row) != width for row in rows):
                return f"golden {name} is not ({count}, {width})"
        return None


class Reach(BaseModel):
    """Newest steps, the window's included, whose replay gives the forecast of the whole history.

    tolerance: how near, in scales of the window; median and worst: over the series looked at. None
    was not reached within what the series were long enough for.
    """

    model_config = _FROZEN

    tolerance: Annotated[float, Field(gt=0.0)]
    median: Count | None
    worst: Count | None


class Memory(BaseModel):
    """How far back the state reaches, measured after the fit (`training.memory`).

    n_series: series that were looked at; longest: the most steps that were replayed.
    """

    model_config = _FROZEN

    n_series: Count
    longest: Count
    reaches: Annotated[tuple[Reach, ...], Field(max_length=16)]

    def steps_to(self, tolerance: float) -> int | None:
        """Newest steps to replay, at worst, for a forecast within `tolerance` scales of the window.

        None where no measured tolerance that is as strict was reached by every series.
        """
        known = [reach.worst for reach in self.reaches if reach.tolerance <= tolerance]
        return min((steps for steps in known if steps is not None), default=None)


class Manifest(BaseModel):
    """The whole of `manifest.json`. Raises pydantic's `ValidationError` for anything else.

    `seed` is what the fit drew its randomness from, `parameters` the number of trained weights,
    `created` a UTC time in ISO 8601. `memory` and `warming` are None where they were not measured.
    """

    model_config = _FROZEN

    format: Annotated[int, Field(ge=1, le=1)]
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\z")]
    spec: Spec
    parameters: Count
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    data: DataFacts
    scores: Scores | None
    libraries: Annotated[dict[Name, Name], Field(max_length=64)]
    files: dict[Name, FileFacts]
    golden: Golden
    memory: Memory | None = None
    warming: Warming | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unknown = sorted(set(self.files) - {WEIGHTS})
        if unknown:
            raise ValueError(f"unknown file {unknown[0]!r} is listed")
        if WEIGHTS not in self.files:
            raise ValueError(f"{WEIGHTS} is not listed")
        misfit = self.golden.misfit(self.spec)
        if misfit is None and self.warming is not None:
            misfit = self.warming.misfit(self.spec)
        if misfit is not None:
            raise ValueError(misfit)
        return self


def golden_context(context: Context, spec: Spec) -> Context:
    """The newest steps of `context`: the window and `GOLDEN_STEPS` more, where it has as many."""
    steps = slice(-(spec.input_size + GOLDEN_STEPS), None)
    return Context(context.y[steps], context.exog[steps], context.futr, context.stat)


def _row(values: NDArray[np.floating]) -> tuple[Number, ...]:
    return tuple(None if np.isnan(value) else float(value) for value in values)


def _array(values: object) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)  # None becomes NaN
