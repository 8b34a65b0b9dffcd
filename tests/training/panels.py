"""Small panels of counted steps and of hours, for tests of what reads panels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.spec import Spec
from models.timeline import Timeline
from training.panel import Panel, Series

COUNTED = Timeline(kind="integer", freq="1")
HOURS = Timeline(kind="time", freq="h", timezone="Europe/Berlin")
MIDNIGHT = np.datetime64("2024-01-01T00:00", "us")


def spec_of(timeline: Timeline = COUNTED, **changes: Any) -> Spec:
    """A tiny forecaster of three steps at a season of four."""
    base: dict[str, Any] = {
        "cell": "gru",
        "timeline": timeline,
        "horizon": 3,
        "input_size": 8,
        "lags": 8,
        "hidden_size": 4,
        "quantiles": (0.025, 0.1, 0.5, 0.9, 0.975),
        "season": (4,),
    }
    return Spec(**(base | changes))


def series_of(unique_id: str, y: NDArray[np.float64], start: Any = 0) -> Series:
    """A series without covariates."""
    none = np.empty((y.size, 0))
    return Series(unique_id, start, y, none, none, np.empty(0))


def seasonal(length: int, seed: int = 0) -> NDArray[np.float64]:
    """Four values a season, some noise, positive."""
    noise = np.random.default_rng(seed).normal(0, 0.5, length)
    return 20.0 + 5.0 * np.sin(np.arange(length) * np.pi / 2) + noise


def panel_of(*ys: NDArray[np.float64]) -> Panel:
    """Counted series named a, b, c …"""
    return Panel(COUNTED, tuple(series_of(chr(97 + index), y) for index, y in enumerate(ys)))
