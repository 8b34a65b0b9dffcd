"""A plan of two small fits, and what is registered after it."""

from __future__ import annotations

from pathlib import Path

from models.forecaster import Forecaster
from tests.training.panels import panel_of, seasonal, spec_of
from tests.training.trainers import schedule_of
from training.load_version import load_version
from training.panel import Panel
from training.pipeline import Candidate, Plan
from training.registry import Registry, RegistryError
from training.versions import versions

TASK = "steps"
SCHEDULE = schedule_of(batches=20, lanes=8, learning_rate=1e-2, start="near")
"""From where defaults begin with so little data: a sixth better than seasonal naive."""


def steps_panel() -> Panel:
    return panel_of(*(seasonal(90 + 7 * row, row) for row in range(3)))


def plan_of(folder: Path, *, resume: bool = False, task: str = TASK) -> Plan:
    """An LSTM and a GRU."""
    return Plan(
        task=task,
        source="a test",
        candidates=(
            Candidate("lstm", spec_of(cell="lstm"), SCHEDULE),
            Candidate("gru", spec_of(cell="gru"), SCHEDULE),
        ),
        n_windows=4,
        step_size=None,
        folder=folder,
        store=f"sqlite:///{folder.parent}/gatecast.db",
        resume=resume,
    )


def registered(registry: Registry) -> dict[int, Forecaster]:
    """Every version of the task by number, loaded through all the checks; none without a task."""
    try:
        found = versions(registry, TASK)
    except RegistryError:
        return {}
    return {version.number: load_version(registry, version)[0] for version in found}
