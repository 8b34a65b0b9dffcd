"""What a search may change: the cell, its size, the window, the transform and the rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from optuna import Trial

from models.spec import Cell, Recurrence, Spec, Transform
from training.defaults import default_schedule, default_spec, log_floor, longest_window
from training.panel import Panel
from training.schedule import Schedule

_HIDDEN, _MOST_LAYERS = (16, 192), 2
_RATE, _DECAY = (5e-4, 1e-2), (0.01, 2.0)

Settings = Mapping[str, Any]
"""A point of the space, by name, as Optuna keeps it."""


@dataclass(frozen=True, slots=True)
class Space:
    """The settings that are tried, around the defaults of a panel.

    cells: recurrent layers to choose from. windows: sizes of the window, in steps. log_floor: of
    the logarithm, None where the values do not allow it.
    """

    spec: Spec
    schedule: Schedule
    cells: tuple[Recurrence, ...]
    windows: tuple[int, ...]
    log_floor: float | None

    @classmethod
    def of(
        cls,
        panel: Panel,
        *,
        cells: Sequence[Recurrence],
        horizon: int,
        season: Sequence[int] | None,
        seed: int,
        threads: int,
    ) -> Self:
        """The space around what `gatecast fit` would do."""
        spec = default_spec(panel, cell=cells[0], horizon=horizon, season=season)
        most = longest_window(panel, horizon)
        steps = {*spec.season, *(2 * season for season in spec.season)}
        steps |= {horizon, 2 * horizon, spec.input_size // 2, 2 * spec.input_size}
        return cls(
            spec=spec,
            schedule=default_schedule(panel, horizon=horizon, seed=seed, threads=threads),
            cells=tuple(cells),
            windows=tuple(sorted({spec.input_size} | {n for n in steps if 1 <= n <= most})),
            log_floor=log_floor(panel),
        )

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """Those that the values allow."""
        return ("none",) if self.log_floor is None else ("none", "log")

    @property
    def defaults(self) -> dict[str, Any]:
        """The settings of `gatecast fit`: what a search begins with, and has to beat."""
        return {
            "cell": self.spec.cell,
            "hidden_size": self.spec.hidden_size,
            "layers": self.spec.layers,
            "input_size": self.spec.input_size,
            "transform": self.spec.transform,
            "learning_rate": self.schedule.learning_rate,
            "weight_decay": self.schedule.weight_decay,
        }

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """The settings that a trial is to try."""
        return {
            "cell": trial.suggest_categorical("cell", self.cells),
            "hidden_size": trial.suggest_int("hidden_size", *_HIDDEN, log=True),
            "layers": trial.suggest_int("layers", 1, _MOST_LAYERS),
            "input_size": trial.suggest_categorical("input_size", self.windows),
            "transform": trial.suggest_categorical("transform", self.transforms),
            "learning_rate": trial.suggest_float("learning_rate", *_RATE, log=True),
            "weight_decay": trial.suggest_float("weight_decay", *_DECAY, log=True),
        }

    def at(self, settings: Settings, cell: Cell | None = None) -> tuple[Spec, Schedule]:
        """What to fit at a point of the space; cell: instead of the point's own."""
        cell = cell or settings["cell"]
        spec = Spec.model_validate(
            {
                **dict(self.spec),
                "cell": cell,
                "members": ("lstm", "gru") if cell == "ensemble" else (),
                "hidden_size": settings["hidden_size"],
                "layers": settings["layers"],
                "input_size": settings["input_size"],
                "lags": settings["input_size"],
                "transform": settings["transform"],
                "log_floor": 1.0 if self.log_floor is None else self.log_floor,
            }
        )
        rates = {name: settings[name] for name in ("learning_rate", "weight_decay")}
        return spec, Schedule.model_validate({**dict(self.schedule), **rates})
