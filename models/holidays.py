"""Public holidays, as a covariate that is known ahead: the calendar that no sine knows."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .timeline import ClockArray, DsError

if TYPE_CHECKING:
    from .spec import Spec

_MOST = 366 * 40
Day = Annotated[int, Field(ge=-106_000, le=106_000)]


class Holidays(BaseModel):
    """The days off work of a place, as they were known at the fit.

    place: a country by its ISO 3166 code, or a part of one: DE, DE-BY. days: local ones, counted
    from 1970-01-01. The bundle holds the days, not a rule, so that serving needs no library of
    them, and none that is newer can change what a version was trained on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    place: Annotated[str, Field(min_length=2, max_length=32)]
    days: Annotated[tuple[Day, ...], Field(max_length=_MOST)]

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if any(a >= b for a, b in zip(self.days, self.days[1:], strict=False)):
            raise ValueError("days must ascend")
        return self

    @cached_property
    def dates(self) -> NDArray[np.int64]:
        """`days` as an array, made once: streams look at it with every observation."""
        return np.array(self.days, np.int64)


def holidays_at(spec: Spec, clock: ClockArray) -> NDArray[np.float32]:
    """(n, 1): how many holidays the steps at `clock` (n,) hold; (n, 0) where the spec has none.

    A step shorter than a day holds the one that it lies in.
    """
    if spec.holidays is None:
        return np.zeros((len(clock), 0), np.float32)
    days = spec.holidays.dates
    first, end = spec.timeline.days(clock)
    counted = np.searchsorted(days, end) - np.searchsorted(days, first)
    return counted[:, None].astype(np.float32)


def holidays_after(spec: Spec, newest: ClockArray) -> NDArray[np.float32]:
    """(n, horizon, 1): the same of the steps that follow each of `newest` (n,); (n, horizon, 0).

    NaN after one whose horizon leaves the years that stamps may have.
    """
    n, horizon = len(newest), spec.horizon
    if spec.holidays is None:
        return np.zeros((n, horizon, 0), np.float32)
    steps = np.tile(np.arange(1, horizon + 1), n)
    try:
        ahead = spec.timeline.at(np.repeat(newest, horizon), steps)
    except DsError:
        if n == 1:
            return np.full((1, horizon, 1), np.nan, np.float32)
        return np.concatenate([holidays_after(spec, one) for one in np.split(newest, n)])
    return holidays_at(spec, ahead).reshape(n, horizon, 1)
