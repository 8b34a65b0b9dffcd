"""Covariates of a series that are categories: words outside, places in the spec's lists inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .spec import Spec

_LARGEST = float(np.finfo(np.float32).max)
_SHOWN = 8


def stat_value(spec: Spec, name: str, value: float | str | None) -> float:
    """What the network is given for one of `spec.stat_exog`: a number, or a category's place.

    None is NaN, unknown. Raises ValueError, which tells what is expected, for a number where a
    category is, the other way about, for a category that training never saw, and for a number that
    float32 does not hold.
    """
    known = spec.categories.get(name)
    if value is None:
        return np.nan
    if known is None:
        if isinstance(value, str):
            raise ValueError("must be a number, or null where it is unknown")
        if abs(value) > _LARGEST:
            raise ValueError("is too large")
        return float(value)
    if not isinstance(value, str) or value not in known:
        there = listed(known)
        raise ValueError(f"is none that the model knows: {there}; null stands for any other")
    return float(known.index(value))


def stat_values(spec: Spec, given: Mapping[str, float | str | None]) -> NDArray[np.float32]:
    """(len(spec.stat_exog),) of what a series says of itself; NaN for what this spec cannot read.

    So a series that was described to one forecaster can be read by another.
    """
    values = np.full(len(spec.stat_exog), np.nan, np.float32)
    for column, name in enumerate(spec.stat_exog):
        try:
            values[column] = stat_value(spec, name, given.get(name))
        except ValueError:
            continue
    return values


def listed(known: Sequence[str]) -> str:
    """The first few of many names, for people."""
    names = ", ".join(known[:_SHOWN])
    return names if len(known) <= _SHOWN else f"{names} and {len(known) - _SHOWN} more"
