"""The networks of a spec, trained: from where they begin to the weights of their best look."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from models.context import Context
from models.ensemble import member_specs
from models.forecaster import Forecaster, new_forecaster
from models.spec import Spec
from training import checkpoint as checkpoints
from training.beginning import begin, draw_back, keep_better, move, weights_of
from training.linear_start import look
from training.loop import EpochRecord, Progress, Trainer
from training.scaling import scale_covariates
from training.schedule import Schedule
from training.validation import Validation, newest

_SAVE_SECONDS = 10.0
"""What a kill may cost; a checkpoint of the default network takes some 20 ms."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A network with the weights of its best look, that look's step, and what they cost."""

    forecaster: Forecaster
    history: tuple[EpochRecord, ...]
    best_step: int
    seconds: float
    cpu_seconds: float


def train_members(
    spec: Spec,
    schedule: Schedule,
    pasts: Sequence[Context],
    held: Validation,
    *,
    checkpoint: Path | None,
    report: Callable[[Progress], None],
) -> list[Trained]:
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
) -> Trained:
    forecaster = new_forecaster(spec, schedule.seed)
    scale_covariates(forecaster, pasts)
    found = look(forecaster, pasts, held.ends) if schedule.start != "naive" else None
    if found is not None:
        begin(forecaster, found)
        start = weights_of(forecaster)
    trainer = Trainer(forecaster, schedule, pasts, held)
    seconds, cpu_seconds = _run(trainer, checkpoint, report)
    trainer.take_best()
    if found is not None:
        lengths = np.array([past.y.shape[0] for past in pasts], dtype=np.int64)
        near = schedule.start == "near"
        if near:
            draw_back(forecaster, start, lengths.tolist())
        if not found.independent:
            keep_better(forecaster, start, newest(spec, pasts))
        # What was kept for validation has told when to stop, and is learnt from now; but by how the
        # map would change with it, which tells nothing of a network that has strayed from the map.
        if near or not trainer.best_step:
            move(forecaster, start, found, look(forecaster, pasts, lengths) or found)
    history = tuple(trainer.history)
    return Trained(forecaster, history, trainer.best_step, seconds, cpu_seconds)


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
    if not trainer.history:
        trainer.look_first()
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
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use `count` threads meanwhile; 0 changes nothing."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
