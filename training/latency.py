"""How long a forecaster takes, measured here and now."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from models.context import Context
from models.forecaster import Forecaster
from models.predict import predict, replayed
from models.stepper import Stepper

BATCH = 64
"""Series in the batch that is timed."""
_SECONDS = 0.2
_MOST = 50


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds, medians: `step_ms` of one observation and the forecast after it, `batch_ms` of
    `BATCH` forecasts from their histories.
    """

    step_ms: float
    batch_ms: float


def measure_latency(forecaster: Forecaster, given: Context) -> Latency:
    """Time a forecaster on a context for some tenths of a second, with torch's threads as they are.

    A machine that does other things too makes it slower, nothing makes it faster.
    """
    spec = forecaster.spec
    state = replayed(forecaster, [given])
    y = torch.from_numpy(given.y[-1:].astype(np.float64))
    exog = torch.from_numpy(given.exog[-1:])
    futr = torch.from_numpy(given.futr[None]) if spec.n_futr else None
    batch, stepper = [given] * BATCH, Stepper(forecaster)

    def step() -> None:
        with torch.inference_mode():
            stepper.step(state, y, exog if spec.exog_size else None, futr)

    return Latency(_median(step), _median(lambda: predict(forecaster, batch, batch_size=BATCH)))


def _median(work: Callable[[], object]) -> float:
    work()
    took: list[float] = []
    while len(took) < _MOST and (len(took) < 3 or sum(took) < _SECONDS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return 1000.0 * median(took)
