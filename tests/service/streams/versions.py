"""Tasks whose versions differ in cell, seed and window, small enough to forecast in no time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from models.bundle import read_bundle
from models.holidays import Holidays
from models.spec import Spec
from models.timeline import Timeline
from service.slots import Loaded
from tests.models.warmings import warming_of
from tests.service.registries import COUNTED, HOURLY, write

TINY: dict[str, Any] = {
    "timeline": HOURLY,
    "horizon": 3,
    "input_size": 6,
    "lags": 6,
    "hidden_size": 4,
    "season": (3,),
    "quantiles": (0.1, 0.5, 0.9),
}


def tiny(**changes: Any) -> Spec:
    """A spec of a window of 6 steps and a horizon of 3."""
    return Spec(**({"cell": "gru"} | TINY | changes))


FREE = Holidays(place="DE", days=tuple(range(20539, 20600, 2)))
"""Every other day, from the one before the first observation."""
COVARIATES: dict[str, Any] = {
    "calendar": ("hour_of_day",),
    "hist_exog": ("temperature",),
    "futr_exog": ("price",),
    "stat_exog": ("area",),
}
SPECS = {
    "counted": (tiny(timeline=COUNTED), tiny(timeline=COUNTED, cell="lstm", layers=2)),
    "hourly": (
        tiny(cell="lstm", calendar=("hour_of_day", "day_of_week"), transform="log"),
        tiny(cell="gru", calendar=("hour_of_day",), holidays=FREE, input_size=4, lags=3),
    ),
    "covariates": (
        tiny(holidays=FREE, **COVARIATES),
        tiny(cell="ensemble", members=("lstm", "gru"), input_size=8, **COVARIATES),
    ),
}
"""By task, the versions that take turns as its champion; a task's share one timeline."""

DAILY = Timeline(kind="time", freq="D", timezone="America/Sao_Paulo")
"""Days that follow a clock on the wall which was put forward at midnight, until 2018."""


def load(folder: Path, task: str, spec: Spec, *, seed: int = 0, version: str = "1") -> Loaded:
    """A version as the service holds it. folder: where its bundle is made, new."""
    write(folder, spec, seed, warming_of(spec))
    forecaster, manifest = read_bundle(folder)
    return Loaded(task, version, str(folder), forecaster, manifest)


def load_all(folder: Path) -> dict[str, list[Loaded]]:
    """Every version of every task of `SPECS`."""
    return {
        task: [
            load(folder / f"{task}-{number}", task, spec, seed=number, version=str(number))
            for number, spec in enumerate(specs, start=1)
        ]
        for task, specs in SPECS.items()
    }
