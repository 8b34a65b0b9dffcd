"""What a forecaster is, before it has weights: one frozen value that every room reads."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .holidays import Holidays
from .timeline import CalendarFeature, Timeline

Recurrence = Literal["lstm", "gru", "elman"]
Cell = Recurrence | Literal["ensemble"]
Transform = Literal["none", "log"]

DEFAULT_QUANTILES = (0.025, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.975)

MAX_HORIZON = 4096
"""Steps that are forecast at most, those that are fed back included (`models.beyond`)."""

MAX_CATEGORIES, MAX_ALL_CATEGORIES, MAX_NAME = 1024, 4096, 128
"""Words of one stat_exog at most, and of all; the characters of a word or a covariate's name."""

Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Level = Annotated[float, Field(gt=0.0, lt=1.0)]
Categorical = tuple[
    Name, Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_CATEGORIES)]
]


class Spec(BaseModel):
    """The shape of a forecaster and of the series it reads.

    Sizes count steps of the timeline, except `hidden_size` and `layers`, which count units and
    recurrent layers. Raises pydantic's `ValidationError` for anything out of range, so that a spec
    read from a manifest is safe to build.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    cell: Cell
    members: Annotated[tuple[Recurrence, ...], Field(max_length=8)] = ()
    """Of an ensemble, the recurrent layers that run side by side; empty for a single cell."""
    timeline: Timeline
    horizon: Annotated[int, Field(ge=1, le=MAX_HORIZON)]
    input_size: Annotated[int, Field(ge=1, le=8192)]
    """Steps in the window: it sets location and scale, and the newest `lags` of it are seen."""
    lags: Annotated[int, Field(ge=1, le=8192)]
    hidden_size: Annotated[int, Field(ge=1, le=4096)]
    layers: Annotated[int, Field(ge=1, le=8)] = 1
    quantiles: Annotated[tuple[Level, ...], Field(max_length=99)] = DEFAULT_QUANTILES
    """Ascending quantile levels of the head; empty is a point head, trained on squared error."""
    season: Annotated[tuple[Annotated[int, Field(ge=1, le=8192)], ...], Field(max_length=4)] = ()
    """Season lengths, shortest first; the first is the one that errors are scaled by."""
    skip: bool = True
    """A linear map from the window to every horizon, started at the seasonal naive forecast."""
    gated: Annotated[int, Field(ge=0, le=1024)] = 0
    """Numbers drawn from the window, of which the state says at every step how much each counts:
    a second map that fits the series (`models.head`). Of each member, in an ensemble."""
    sees_gaps: bool = True
    """Whether the observed mask is an input: the newest step's, which the state then remembers, and
    the share of the window that was observed."""
    fills_gaps: bool = False
    """Whether the window is looked at with missing values filled in (`models.gaps`), which zeros,
    its mean, stand for otherwise. Versions of before that was thought of say nothing of it."""
    transform: Transform = "none"
    log_floor: Annotated[float, Field(gt=0.0)] = 1.0
    """The value, in the units of the data, around which `log` turns linear: asinh(y / 2 log_floor),
    so that zero and below stay legal. Far above it, it is the logarithm."""
    resolution: Annotated[float, Field(ge=0.0)] = 0.0
    """What a window's scale is at least, but in the logarithm: the least step between two values,
    one for counts."""
    nonnegative: bool = False
    """Whether forecasts end at zero, below which the series never were."""
    calendar: Annotated[tuple[CalendarFeature, ...], Field(max_length=8)] = ()
    holidays: Holidays | None = None
    """Of a place, read off the time stamps as a covariate that is known ahead; the last of them."""
    hist_exog: Annotated[tuple[Name, ...], Field(max_length=256)] = ()
    futr_exog: Annotated[tuple[Name, ...], Field(max_length=256)] = ()
    stat_exog: Annotated[tuple[Name, ...], Field(max_length=256)] = ()
    categorical: Annotated[tuple[Categorical, ...], Field(max_length=256)] = ()
    """Each stat_exog that is a category rather than a number, with those that training knew: the
    value of a series is the place of its own (`models.categories`)."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.cell == "ensemble") != (len(self.members) > 1) or len(self.members) == 1:
            raise ValueError("an ensemble has two members or more, a single cell has none")
        if self.lags > self.input_size:
            raise ValueError("lags must not exceed input_size")
        if any(a >= b for a, b in zip(self.quantiles, self.quantiles[1:], strict=False)):
            raise ValueError("quantiles must ascend")
        if self.quantiles and 0.5 not in self.quantiles:
            raise ValueError("quantiles must include 0.5, the point forecast")
        if any(a >= b for a, b in zip(self.season, self.season[1:], strict=False)):
            raise ValueError("season lengths must ascend")
        names = self.hist_exog + self.futr_exog + self.stat_exog
        if len(set(names)) != len(names):
            raise ValueError("a covariate has one role and one name")
        if not set(self.categories) <= set(self.stat_exog):
            raise ValueError("only a stat_exog has categories")
        if (self.calendar or self.holidays) and self.timeline.kind == "integer":
            raise ValueError("integer steps have no calendar")
        return self

    @field_validator("categorical")
    @classmethod
    def _known_once(cls, categorical: tuple[Categorical, ...]) -> tuple[Categorical, ...]:
        names = [name for name, _ in categorical]
        for words in (names, *(known for _, known in categorical)):
            if len(set(words)) != len(words):
                raise ValueError("a category has one place")
        if sum(len(known) for _, known in categorical) > MAX_ALL_CATEGORIES:
            raise ValueError(f"there are more than {MAX_ALL_CATEGORIES} categories")
        return categorical

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        """Those that training knew, by the name of the stat_exog."""
        return dict(self.categorical)

    @property
    def cells(self) -> tuple[Recurrence, ...]:
        """The cells of the recurrent layers that run side by side: one, or an ensemble's."""
        return self.members if self.cell == "ensemble" else (self.cell,)

    @property
    def outputs(self) -> int:
        """Numbers a horizon step: the quantiles, or one for a point head."""
        return len(self.quantiles) or 1

    @property
    def reads_clock(self) -> bool:
        """Whether time stamps are read for more than their order."""
        return bool(self.calendar) or self.holidays is not None

    @property
    def n_futr(self) -> int:
        """Covariates that are known ahead: futr_exog, then the holidays."""
        return len(self.futr_exog) + (self.holidays is not None)

    @property
    def exog_size(self) -> int:
        """Covariate channels a step: calendar (a sine and a cosine each), hist_exog, those that are
        known ahead."""
        return 2 * len(self.calendar) + len(self.hist_exog) + self.n_futr
