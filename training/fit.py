"""A fit: what is learnt from, what is validated on, and what came out of it."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.ensemble import ensemble
from models.forecaster import Forecaster
from models.manifest import Memory
from models.spec import Spec
from training.calibration import calibrate
from training.contexts import context, contexts_until
from training.held_out import held_out
from training.loop import EpochRecord, Progress
from training.memory import measure_memory
from training.panel import Panel
from training.schedule import Schedule
from training.train import Trained, torch_threads, train_members
from training.validation import Validation, validation
from training.warming import measure_warming

_CALIBRATING, _YOUNG = 2048, 512
"""Histories that intervals are calibrated by, and those of them that are cut for each age."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A trained forecaster, warmed (`training.warming`), and how it was trained.

    cutoffs: (n_series,) leading steps of each series that the fit has learnt from, validation
    included. seconds, cpu_seconds: of the fit, those before a resume included; peak_memory_bytes:
    the highest resident size of this process so far. memory: how far back the state reaches; None
    where the series are too short to tell. best_step: batches before the look whose weights were
    taken; None for an ensemble.
    """

    forecaster: Forecaster
    history: tuple[EpochRecord, ...]
    cutoffs: NDArray[np.int64]
    seed: int
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    memory: Memory | None = None
    best_step: int | None = None


def fit(
    panel: Panel,
    spec: Spec,
    schedule: Schedule,
    *,
    cutoffs: NDArray[np.int64] | None = None,
    checkpoint: Path | None = None,
    report: Callable[[Progress], None] = lambda _: None,
) -> Fit:
    """Fit a forecaster of `spec` to what lies before `cutoffs`, everything by default.

    cutoffs: (n_series,), leading steps of each series that are learnt from; the last stretch of
    those is kept for validation, and only a network that is still at or near its linear start
    (`training.linear_start`) learns from it in the end. What comes after them calibrates the
    intervals, and nothing else; where nothing does, the validation stretch. checkpoint: a file that
    is gone on from where it exists, and written every few seconds and when the fit is interrupted
    or done; a fit that went on ends with the weights of one that was never stopped. report: called
    after every batch. The same panel, spec, schedule and thread count give the same weights.

    Raises ValueError where the series are too short to learn from, FitError where the loss stays
    infinite, and CheckpointError for a file of another fit. KeyboardInterrupt passes through.
    """
    lengths = np.array([len(series) for series in panel.series], dtype=np.int64)
    cutoffs = lengths if cutoffs is None else np.minimum(cutoffs, lengths)
    pasts = contexts_until(panel, spec, cutoffs)
    held = validation(spec, pasts, seed=schedule.seed)
    with torch_threads(schedule.threads):
        members = train_members(spec, schedule, pasts, held, checkpoint=checkpoint, report=report)
        forecaster = members[0].forecaster
        if spec.cell == "ensemble":
            forecaster = ensemble([member.forecaster for member in members])
        _calibrate(forecaster, panel, cutoffs, held, seed=schedule.seed)
        memory = measure_memory(forecaster, pasts)
        unseen = held_out(spec, pasts, held.ends, most=_YOUNG, seed=schedule.seed)
        forecaster.warm(measure_warming(forecaster, unseen))
    return Fit(
        forecaster=forecaster,
        history=_one_after_the_other(members),
        cutoffs=cutoffs,
        seed=schedule.seed,
        seconds=sum(member.seconds for member in members),
        cpu_seconds=sum(member.cpu_seconds for member in members),
        peak_memory_bytes=peak_memory(),
        memory=memory,
        best_step=members[0].best_step if len(members) == 1 else None,
    )


def best_loss(
    panel: Panel,
    spec: Spec,
    schedule: Schedule,
    *,
    cutoffs: NDArray[np.int64],
    report: Callable[[Progress], None],
) -> float:
    """The least validation loss of a fit, which is then thrown away.

    As `fit`; what `report` raises ends it. Raises ValueError where the series are too short to be
    validated on.
    """
    pasts = contexts_until(panel, spec, cutoffs)
    held = validation(spec, pasts, seed=schedule.seed)
    if not held.contexts:
        raise ValueError("the series are too short for windows to validate on")
    with torch_threads(schedule.threads):
        trained = train_members(spec, schedule, pasts, held, checkpoint=None, report=report)
    return min(record.valid_loss for each in trained for record in each.history)


def _one_after_the_other(members: Sequence[Trained]) -> tuple[EpochRecord, ...]:
    """Their histories as one, each counting on where the one before ended."""
    history: list[EpochRecord] = []
    step, seconds = 0, 0.0
    for member in members:
        history += [
            replace(record, step=step + record.step, seconds=seconds + record.seconds)
            for record in member.history
        ]
        step += member.history[-1].step if member.history else 0
        seconds += member.seconds
    return tuple(history)


def _calibrate(
    forecaster: Forecaster,
    panel: Panel,
    cutoffs: NDArray[np.int64],
    held: Validation,
    *,
    seed: int,
) -> None:
    """By what comes after the cutoffs. Training stopped where the validation stretch was forecast
    best, and so is surer of that than of anything later."""
    spec = forecaster.spec
    whole = [context(panel, series, spec, len(series)) for series in panel.series]
    unseen = held_out(spec, whole, cutoffs, most=_CALIBRATING, seed=seed)
    if not unseen.histories:
        unseen = held_out(spec, whole, held.ends, most=_CALIBRATING, seed=seed)
    calibrate(forecaster, unseen)


def peak_memory() -> int:
    """Highest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
