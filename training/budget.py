"""A bound on the time of fits: fewer batches, where those of the defaults took longer."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.ensemble import member_specs
from models.forecaster import new_forecaster
from models.spec import Spec
from training.contexts import contexts_until
from training.loop import Trainer
from training.panel import Panel
from training.pipeline import Candidate
from training.scaling import scale_covariates
from training.schedule import Schedule
from training.train import torch_threads
from training.validation import validation

_WARM, _TIMED = 2, 6
"""Batches that are run to see how long one takes; the first ones do not count."""
_TRAINING = 0.75
"""The share of the time for batches. Looks at the validation windows, calibration, the memory of
the state and the backtest's baselines take the rest."""
_FEWEST = 20


def within(
    seconds: float,
    panel: Panel,
    tried: Sequence[Candidate],
    cutoffs: NDArray[np.int64],
    *,
    folder: Path,
    resume: bool,
) -> tuple[Candidate, ...]:
    """The candidates, with fewer batches where all of theirs would take more than `seconds`.

    How many fit depends on the machine and on what else it does. The number is on record with each
    version, and beside `folder`, where a fit that goes on finds it. Raises ValueError where the
    time is too short to learn anything.
    """
    note = folder.with_name(f"{folder.name}.budget.json")
    if resume and folder.exists() and note.exists():  # an ended fit leaves its note, no folder
        most: int = json.loads(note.read_text(encoding="utf-8"))
    else:
        each = _seconds_a_batch(panel, tried, cutoffs)
        most = int(_TRAINING * seconds / each)
        if most < _FEWEST:
            least = _FEWEST * each / _TRAINING
            raise ValueError(f"{_FEWEST} batches take {least:.0f} s: give --budget as much")
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(most), encoding="utf-8")
    return tuple(
        replace(
            candidate,
            schedule=candidate.schedule.model_copy(
                update={"batches": min(most, candidate.schedule.batches)}
            ),
        )
        for candidate in tried
    )


def _seconds_a_batch(panel: Panel, tried: Sequence[Candidate], cutoffs: NDArray[np.int64]) -> float:
    """Of all networks together: an ensemble's members are those of its cells, trained once."""
    networks: dict[tuple[Spec, int], Schedule] = {}
    for candidate in tried:
        again = Counter[Spec]()
        for spec in member_specs(candidate.spec):
            networks[spec, again[spec]] = candidate.schedule
            again[spec] += 1
    return sum(_timed(panel, spec, schedule, cutoffs) for (spec, _), schedule in networks.items())


def _timed(panel: Panel, spec: Spec, schedule: Schedule, cutoffs: NDArray[np.int64]) -> float:
    pasts = contexts_until(panel, spec, cutoffs)
    forecaster = new_forecaster(spec, schedule.seed)
    scale_covariates(forecaster, pasts)
    trainer = Trainer(forecaster, schedule, pasts, validation(spec, pasts, seed=schedule.seed))
    with torch_threads(schedule.threads):
        for _ in range(min(_WARM, schedule.batches - 1)):
            trainer.advance(0.0)
        began = time.perf_counter()
        for _ in range(_TIMED):
            trainer.advance(0.0)
    return (time.perf_counter() - began) / _TIMED
