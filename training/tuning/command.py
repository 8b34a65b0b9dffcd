"""The search as people run it: in processes of its own, with its progress, and what it found."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from optuna import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.table import Table

from models.spec import Cell, Recurrence
from store.settings import Settings
from training.commands import fit_panel
from training.exits import terminable
from training.panel import Panel
from training.pipeline import Candidate, Outcome, cutoffs
from training.registry import Registry
from training.tuning.record import end_search, search_run
from training.tuning.space import Space
from training.tuning.study import (
    DONE,
    Search,
    begin,
    best,
    finished,
    open_study,
    storage_url,
    study_name,
    work,
)

_LOOK_SECONDS = 0.5
_END_SECONDS = 30.0
"""How long a process that was told to stop may take: a batch, and a word to MLflow."""


class SearchError(ValueError):
    """A search that found nothing; it says what to do."""


def searched(search: Search, *, jobs: int, seed: int, console: Console) -> FrozenTrial:
    """Run a search to its end, in `jobs` processes, and give its best trial.

    The study stays where it is, so that the same search goes on after it was stopped or killed, or
    with more trials. Raises SearchError where no trial came to its end, and what a trial raises.
    """
    with open_study(search.storage, search.name, seed=seed) as study:
        begin(study, search.space)
        done = finished(study)
        if done:
            console.print(f"Going on after {done} trials.", highlight=False)
        run = search_run(search.registry, search.task, study, _facts(search, jobs))
        search, status = replace(search, run=run.run_id), "FAILED"
        try:
            _work(search, study, jobs=jobs, seed=seed + done, console=console)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            end_search(run, study, status=status)
        found = best(study)
        if found is None:
            raise SearchError("no trial came to its end: give it more time with --budget")
        console.print(_table(study, search.space, found))
    return found


def tune_panel(
    panel: Panel,
    *,
    settings: Settings,
    task: str,
    source: str,
    cells: tuple[Cell, ...],
    horizon: int,
    season: Sequence[int] | None,
    trials: int,
    budget: float | None,
    jobs: int,
    n_windows: int,
    step_size: int | None,
    seed: int,
    console: Console,
) -> Outcome:
    """Search, then fit, backtest, register and promote with the best settings.

    budget: seconds for the search. jobs: processes, a thread each; 0 is one for each core. The
    windows of the backtest are hidden from the search.
    """
    jobs = jobs or os.cpu_count() or 1
    tried: tuple[Recurrence, ...] = tuple(cell for cell in cells if cell != "ensemble")
    space = Space.of(panel, cells=tried, horizon=horizon, season=season, seed=seed, threads=1)
    ends = cutoffs(panel, space.spec, n_windows, step_size)
    search = Search(
        storage=storage_url(settings.store_url),
        name=study_name(task, panel, space, ends),
        panel=panel,
        space=space,
        cutoffs=ends,
        trials=trials,
        ends=None if budget is None else time.time() + budget,
        registry=Registry.of(settings),
        task=task,
        run="",
    )
    found = searched(search, jobs=jobs, seed=seed, console=console)
    return fit_panel(
        panel,
        tuned(space, found, cells),
        settings=settings,
        task=task,
        source=source,
        n_windows=n_windows,
        step_size=step_size,
        resume=False,
        console=console,
    )


def tuned(space: Space, found: FrozenTrial, cells: tuple[Cell, ...]) -> tuple[Candidate, ...]:
    """What to fit with the settings of a trial, as `gatecast fit` does with its own."""
    return tuple(Candidate(cell, *space.at(found.params, cell)) for cell in cells)


def _work(search: Search, study: Study, *, jobs: int, seed: int, console: Console) -> None:
    told = {trial.number for trial in study.get_trials(deepcopy=False, states=DONE)}
    with _processes(search, jobs, seed) as running, console.status("") as status:
        while True:
            alive = [process for process, _ in running if process.is_alive()]
            for trial in study.get_trials(deepcopy=False, states=DONE):
                if trial.number not in told:
                    told.add(trial.number)
                    console.print(_line(trial), highlight=False, soft_wrap=True)
            status.update(_state(study, search))
            if not alive:
                break
            time.sleep(_LOOK_SECONDS)
        for process, said in running:
            with suppress(EOFError):  # it had nothing to say
                raise SearchError(said.recv())
            if process.exitcode:
                raise SearchError("a process of the search was killed: the same command goes on")


@contextmanager
def _processes(
    search: Search, jobs: int, seed: int
) -> Iterator[Sequence[tuple[BaseProcess, Connection]]]:
    """Start them, and end them with the block."""
    spawning = multiprocessing.get_context("spawn")  # a fork beside torch's threads may hang
    running = []
    for each in range(jobs):
        said, says = spawning.Pipe(duplex=False)
        process = spawning.Process(target=_child, args=(search, seed + each, says), daemon=True)
        process.start()
        says.close()
        running.append((process, said))
    try:
        yield running
    finally:
        for process, _ in running:
            if process.is_alive():
                process.terminate()
        for process, _ in running:
            process.join(_END_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()


def _child(search: Search, seed: int, says: Connection) -> None:
    try:
        with terminable():
            work(search, seed)
    except KeyboardInterrupt:
        pass
    except Exception as error:  # noqa: BLE001 - told to people by the process that they started
        says.send(str(error) or type(error).__name__)


def _facts(search: Search, jobs: int) -> dict[str, str]:
    space = search.space
    return {
        "study": search.name,
        "cells": ", ".join(space.cells),
        "windows": ", ".join(map(str, space.windows)),
        "batches": str(space.schedule.batches),
        "jobs": str(jobs),
    }


def _state(study: Study, search: Search) -> str:
    found = best(study)
    text = f"{finished(study)} of {search.trials} trials"
    if search.ends is not None:
        text += f", {max(0.0, search.ends - time.time()) / 60:.1f} minutes left"
    return text if found is None else f"{text}, least validation loss {found.value:.4f}"


def _line(trial: FrozenTrial) -> str:
    settings = ", ".join(f"{name} {_short(value)}" for name, value in trial.params.items())
    if trial.state is TrialState.PRUNED:
        return f"  trial {trial.number}: cut short; {settings}"
    return f"  trial {trial.number}: {trial.value:.4f}; {settings}"


def _table(study: Study, space: Space, found: FrozenTrial) -> Table:
    """The best settings beside the defaults, and what validation says of both."""
    defaults = space.defaults
    plain = next(
        (
            trial.value
            for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
            if trial.params == defaults
        ),
        None,
    )
    table = Table(title=f"The best of {finished(study)} trials", title_justify="left")
    table.add_column("")
    table.add_column("default", justify="right")
    table.add_column("best", justify="right")
    for name, value in found.params.items():
        table.add_row(name, _short(defaults[name]), _short(value))
    table.add_row("validation loss", "" if plain is None else _short(plain), _short(found.value))
    return table


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
