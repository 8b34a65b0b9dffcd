"""Backtests made of errors rather than of forecasters, so that what is planted is known."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from training.backtest import Backtest, judge
from training.origins import Windows
from training.scores import Forecasts

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
_Z = np.array([NormalDist().inv_cdf(level) for level in LEVELS])

Errors = NDArray[np.float64]


def windows_of(
    n_series: int = 12, n_windows: int = 10, horizon: int = 6, *, step_size: int | None = None
) -> Windows:
    """Windows whose truth is zero and whose scale is one: a forecast is its own scaled error."""
    shape = (n_series, n_windows)
    return Windows(
        series=np.arange(n_series),
        unique_ids=tuple(f"s{row}" for row in range(n_series)),
        origins=np.tile(100 + horizon * np.arange(n_windows), (n_series, 1)),
        truth=np.zeros((*shape, horizon)),
        scale=np.ones(shape),
        step_size=step_size or horizon,
        season=4,
        left_out=(),
    )


def forecasts_of(windows: Windows, errors: Errors, spread: float = 1.0) -> Forecasts:
    """Forecasts with these errors (S, W, horizon) and normal intervals of deviation `spread`."""
    asked = np.ones(windows.origins.shape, dtype=np.bool_)
    return Forecasts(LEVELS, errors[..., None] + spread * _Z, asked)


def backtest_of(windows: Windows, **errors: Errors) -> Backtest:
    """All of them judged on the same windows."""
    return judge(
        windows, {name: forecasts_of(windows, each) for name, each in errors.items()}, LEVELS
    )


def noise(windows: Windows, seed: int, size: float = 1.0) -> Errors:
    """Normal errors, independent from step to step."""
    return np.random.default_rng(seed).normal(0.0, size, windows.truth.shape)
