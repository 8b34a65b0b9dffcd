"""A fit: what is learnt from, what is validated on, and what came out of it."""

from __future__ import annotations

import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.context import Context
from models.ensemble import ensemble, member_specs
from models.forecaster import Forecaster, new_forecaster
from models.manifest import Memory
from models.spec import Spec
from training import checkpoint as checkpoints
from training.calibration import calibrate
from training.contexts import context
from training.held_out import held_out
from training.loop import EpochRecord, Progress, Trainer
from training.memory import measure_memory
from training.panel import Panel
from training.scaling import scale_covariates
from training.schedule import Schedule
from training.validation import Validation, validation
from training.warming import measure_warming

_CALIBRATING, _YOUNG = 2048, 512
"""Histories that intervals are calibrated by, and those of them that are cut for each age."""
_SAVE_SECONDS = 10.0
"""What a kill may cost; a checkpoint of the default network takes some 20 ms."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A trained forecaster, warmed (`training.warming`), and how it was trained.

    cutoffs: (n_series,) leading steps of each series that the fit has learnt from, validation
    included. seconds, cpu_seconds: of the fit, those before a resume included; peak_memory_bytes:
    the highest resident size of this process so far. memory: how far back the state reaches; None
    where the series are too short to tell.
    """

    forecaster: Forecaster
    history: tuple[EpochRecord, ...]
    cutoffs: NDArray[np.int64]
    seed: int
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    memory: Memory | None = None


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
    those is kept for validation. What comes after them calibrates the intervals, and nothing else;
    where nothing does, the validation stretch. checkpoint: a file that is gone on from where it
    exists, and written every few seconds and when the fit is interrupted or done; a fit that went
    on ends with the weights of one that was never stopped. report: called after every batch. The
    same panel, spec, schedule and thread count give the same weights.

    Raises ValueError where the series are too short to learn from, FitError where the loss stays
    infinite, and CheckpointError for a file of another fit. KeyboardInterrupt passes through.
    """
    lengths = np.array([len(series) for series in panel.series], dtype=np.int64)
    cutoffs = lengths if cutoffs is None else np.minimum(cutoffs, lengths)
    pasts = [
        context(panel, series, spec, int(cutoff))
        for series, cutoff in zip(panel.series, cutoffs, strict=True)
    ]
    held = validation(spec, pasts, seed=schedule.seed)
    with _threads(schedule.threads):
        members = _members(spec, schedule, pasts, held, checkpoint=checkpoint, report=report)
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
    )


@dataclass(frozen=True, slots=True)
class _Trained:
    """A network with the weights of its best validation, and what they cost."""

    forecaster: Forecaster
    history: tuple[EpochRecord, ...]
    seconds: float
    cpu_seconds: float


def _members(
    spec: Spec,
    schedule: Schedule,
    pasts: Sequence[Context],
    held: Validation,
    *,
    checkpoint: Path | None,
    report: Callable[[Progress], None],
) -> list[_Trained]:
    """The networks of a spec, trained one after the other: one, or an ensemble's members.

    A member has the seed and the checkpoint that it would have alone; a second one of the same
    cell has the next of each.
    """
    specs = member_specs(spec)
    trained = []
    for place, each in enumerate(specs):
        again = spec.cells[:place].count(spec.cells[place])
        own = schedule.model_copy(update={"seed": schedule.seed + again})
        file = checkpoint
        if checkpoint is not None and len(specs) > 1:
            name = f"{each.cell}-{again + 1}" if again else each.cell
            file = checkpoint.with_name(f"{name}{checkpoint.suffix}")
        done = place * schedule.batches

        def said(progress: Progress, done: int = done) -> None:
            batches = len(specs) * schedule.batches
            report(replace(progress, batch=done + progress.batch, batches=batches))

        trained.append(_train(each, own, pasts, held, checkpoint=file, report=said))
    return trained


def _train(
    spec: Spec,
    schedule: Schedule,
    pasts: Sequence[Context],
    held: Validation,
    *,
    checkpoint: Path | None,
    report: Callable[[Progress], None],
) -> _Trained:
    forecaster = new_forecaster(spec, schedule.seed)
    scale_covariates(forecaster, pasts)
    trainer = Trainer(forecaster, schedule, pasts, held)
    seconds, cpu_seconds = _run(trainer, checkpoint, report)
    trainer.take_best()
    return _Trained(forecaster, tuple(trainer.history), seconds, cpu_seconds)


def _one_after_the_other(members: Sequence[_Trained]) -> tuple[EpochRecord, ...]:
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


def _run(
    trainer: Trainer, checkpoint: Path | None, report: Callable[[Progress], None]
) -> tuple[float, float]:
    """Train to the end; gives the wall and processor seconds that it took in all."""
    wall, cpu = (0.0, 0.0)
    if checkpoint is not None and checkpoint.exists():
        wall, cpu = checkpoints.restore(checkpoint, trainer)
    began, began_cpu = time.perf_counter() - wall, time.process_time() - cpu

    def spent() -> tuple[float, float]:
        return time.perf_counter() - began, time.process_time() - began_cpu

    saved = time.perf_counter()
    try:
        while not trainer.finished:
            with _interrupts_wait():
                progress = trainer.advance(spent()[0])
            report(progress)
            if checkpoint is not None and time.perf_counter() - saved > _SAVE_SECONDS:
                checkpoints.save(checkpoint, trainer, spent())
                saved = time.perf_counter()
    finally:
        # not whole where a batch failed, or was interrupted in another thread than the main one
        if checkpoint is not None and trainer.whole:
            checkpoints.save(checkpoint, trainer, spent())
    return spent()


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the end of the block, so that a batch is done or not begun.

    Only the main thread may say so; in others nothing changes, and nothing interrupts them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {
        each: signal.signal(each, lambda number, _: caught.append(number)) for each in signals
    }
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    for number in caught:
        signal.raise_signal(number)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads meanwhile; 0 changes nothing."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
