"""Quantile levels asked for, from those a forecaster was trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def quantiles_of(level: Sequence[float]) -> tuple[float, ...]:
    """Lower and upper quantile of each central interval in percent: 80 -> 0.1, 0.9; ascending."""
    if not all(0 < percent < 100 for percent in level):
        raise ValueError("a level lies between 0 and 100, both excluded")
    bounds = {round((100 + sign * percent) / 200, 10) for percent in level for sign in (-1, 1)}
    return tuple(sorted(bounds))


def at_levels(
    trained: Sequence[float], values: NDArray[np.float64], wanted: Sequence[float]
) -> NDArray[np.float64]:
    """values (..., len(trained)) at ascending levels -> (..., len(wanted)), linear in between.

    Raises ValueError for a level outside the trained range: a tail is not to be made up.
    """
    levels = np.asarray(trained, dtype=np.float64)
    targets = np.asarray(wanted, dtype=np.float64)
    if not levels.size:
        raise ValueError("a point forecaster has no quantiles")
    slack = 1e-9  # 1 - 0.975 is not 0.025 in floating point
    if not ((levels[0] - slack <= targets) & (targets <= levels[-1] + slack)).all():
        raise ValueError(f"quantiles must lie within {levels[0]:g} and {levels[-1]:g}")
    upper = np.searchsorted(levels, targets - slack).clip(0, levels.size - 1)  # (W,)
    lower = np.maximum(upper - (np.abs(levels[upper] - targets) > slack), 0)  # (W,)
    span = np.where(upper > lower, levels[upper] - levels[lower], 1.0)
    share = np.where(upper > lower, (targets - levels[lower]) / span, 0.0)
    between: NDArray[np.float64] = values[..., lower] * (1 - share) + values[..., upper] * share
    return between
