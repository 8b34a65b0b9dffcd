"""How good forecasts were, now that their truth is known: pure, many at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.levels import at_levels, quantiles_of
from models.metrics import mase_scale
from models.spec import Spec

Floats = NDArray[np.float64]

_MOST = 1e6
"""Scales that an error counts as at most: one broken reading must not drown a year of sums."""
_LEAST = 1e-6
"""Quantile loss, in scales, below which the logarithm goes no further down."""


class Measured(NamedTuple):
    """Of n forecasts, each (n,); in scales. covered: NaN where the version has no such interval."""

    scaled_error: Floats
    squared_error: Floats
    quantile_loss: Floats
    covered_80: Floats
    covered_95: Floats

    @property
    def log_loss(self) -> Floats:
        """The natural logarithm of the quantile loss: what the test for drift looks at."""
        return np.log(np.maximum(self.quantile_loss, _LEAST))


class Ruler:
    """What is needed to measure a version's forecasts."""

    def __init__(self, spec: Spec) -> None:
        levels = spec.quantiles or (0.5,)
        self._levels = np.array(levels)
        self._median = levels.index(0.5)
        self._bounds = [_bounds(levels, percent) for percent in (80.0, 95.0)]
        season = spec.season[0] if spec.season else 1
        self._season = season if season < spec.input_size else 1

    def scale(self, window: Floats) -> Floats:
        """What errors after windows (n, input_size) are divided by: (n,), NaN where nothing is.

        `models.metrics.mase_scale` of the window, which the backtest takes of the whole past: the
        mean difference of values one season apart, or of neighbours where the window is shorter.
        """
        return mase_scale(window, self._season)

    def measure(self, truth: Floats, values: Floats, scale: Floats) -> Measured:
        """truth and scale (n,), values (n, outputs), in data units; all finite, scale above 0."""
        with np.errstate(over="ignore"):
            error = (truth[:, None] - values) / scale[:, None]  # (n, Q)
        error = np.clip(error, -_MOST, _MOST)
        loss = np.maximum(self._levels * error, (self._levels - 1.0) * error).mean(axis=1)
        middle = np.abs(error[:, self._median])
        covered = [
            np.full(len(truth), np.nan)
            if bounds is None
            else ((values @ bounds[:, 0] <= truth) & (truth <= values @ bounds[:, 1])).astype(float)
            for bounds in self._bounds
        ]
        return Measured(middle, middle * middle, loss, *covered)


def _bounds(levels: tuple[float, ...], percent: float) -> Floats | None:
    """(outputs, 2) weights that make an interval's ends of the trained quantiles."""
    wanted = quantiles_of([percent])
    if wanted[0] < levels[0] - 1e-9 or wanted[1] > levels[-1] + 1e-9:
        return None
    return at_levels(levels, np.eye(len(levels)), wanted)
