"""Trainers and schedules small enough to run to their end in a test."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.context import Context
from models.forecaster import new_forecaster
from models.spec import Spec
from tests.training.panels import panel_of, seasonal, spec_of
from training.contexts import context
from training.loop import Trainer
from training.panel import Panel
from training.schedule import Schedule
from training.validation import validation


def schedule_of(**changes: Any) -> Schedule:
    """Twelve batches of four lanes, a look every third."""
    values: dict[str, Any] = {
        "batches": 12,
        "lanes": 4,
        "steps": 16,
        "origins": 6,
        "evaluations": 4,
        "patience": 4,
        "threads": 1,
    }
    return Schedule(**(values | changes))


def small_panel(n_series: int = 3, length: int = 80, seed: int = 0) -> Panel:
    """Seasonal series of nearly one length."""
    return panel_of(*(seasonal(length + 5 * k, seed + k) for k in range(n_series)))


def pasts_of(panel: Panel, spec: Spec) -> list[Context]:
    """Every series whole."""
    return [context(panel, series, spec, len(series)) for series in panel.series]


def past_of(y: NDArray[np.float64]) -> Context:
    """A series without covariates."""
    length = y.shape[0]
    none = np.empty((length, 0), dtype=np.float32)
    return Context(y, none, np.empty((3, 0), dtype=np.float32), np.empty(0, dtype=np.float32))


def trainer_of(
    panel: Panel | None = None, spec: Spec | None = None, schedule: Schedule | None = None
) -> Trainer:
    """A trainer at its beginning."""
    panel, spec, schedule = panel or small_panel(), spec or spec_of(), schedule or schedule_of()
    pasts = pasts_of(panel, spec)
    held = validation(spec, pasts, seed=schedule.seed)
    return Trainer(new_forecaster(spec, schedule.seed), schedule, pasts, held)
