"""Runs of retraining so small that they can be killed many times."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sqlalchemy import update

from store import leases
from store.conventions import CHAMPION
from store.database import Database, open_database
from store.migrate import migrate
from store.moment import now_of
from store.runs import NewRun, Run, ask_run, find_run
from store.settings import Settings
from store.tables import retrain_runs
from tests.training.fits import embedded
from tests.training.panels import spec_of
from tests.training.pipelines import SCHEDULE, TASK, registered, steps_panel
from training import pipeline, train
from training.baselines import naive
from training.jobs import retrain, worker
from training.jobs.lease import Lease
from training.panel import Panel
from training.pipeline import Candidate
from training.registry import Registry
from training.versions import versions

LEASE_SECONDS = 600.0
"""Long: a busy machine must not lose it. Tests end leases themselves."""


def settings_of(var: Path) -> Settings:
    return Settings(var=var, lease_seconds=LEASE_SECONDS)


@contextmanager
def home(var: Path) -> Iterator[Database]:
    """A folder with an empty registry and a store, and a series to learn from."""
    embedded(var)
    database = open_database(settings_of(var).store_url)
    migrate(database)
    write_panel(var / "series.csv", steps_panel())
    yield database
    database.close()


def write_panel(path: Path, panel: Panel) -> None:
    lines = ["unique_id,ds,y"]
    for series in panel.series:
        lines += [f"{series.unique_id},{step},{y}" for step, y in enumerate(series.y)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def asked(database: Database, source: str, *, task: str = TASK, options: str | None = None) -> Run:
    said = options or '{"horizon":3,"season":[4],"cells":["gru"],"threads":1}'
    with database.writing() as connection:
        now = now_of(connection)
        return ask_run(connection, NewRun(task, "manual", now, source, None, said, "me"), now)[0]


def claimed(database: Database, attempts: int = 3) -> Run | None:
    with database.writing() as connection:
        now = now_of(connection)
        lease = int(LEASE_SECONDS * 1000)
        return leases.claim(connection, "me", now, lease=lease, attempts=attempts)


def left(database: Database) -> None:
    """Let the leases of all that is running end now."""
    with database.writing() as connection:
        running = retrain_runs.c.status == "running"
        change = {"lease_until": now_of(connection)}
        connection.execute(update(retrain_runs).where(running).values(change))


def found(database: Database, run: Run) -> Run:
    with database.reading() as connection:
        now = find_run(connection, run.id)
    assert now is not None
    return now


def sound(var: Path) -> int | None:
    """Hold that every version loads, the champion with them; the champion's number."""
    registry = Registry.embedded(var)
    loading = registered(registry)
    if not loading:
        return None
    champions = [v.number for v in versions(registry, TASK) if CHAMPION in v.aliases]
    assert all(number in loading for number in champions)
    return champions[0] if champions else None


def attempt(
    var: str, number: int, fence: int, told: Callable[[str], None], beats: bool = True
) -> None:
    """A run's process: the real one, but for the size of what is fitted."""
    torch.set_num_threads(1)
    train._SAVE_SECONDS = 0.0
    changed: Any = retrain
    changed._candidates = lambda *_: (Candidate("gru", spec_of(cell="gru"), SCHEDULE),)
    stages: Any = pipeline
    stages.default_baselines = lambda _: [naive()]
    hooked: Any = worker
    hooked.retrain = partial(retrain.retrain, told=told)
    if not beats:
        silent: Any = Lease
        silent.kept = lambda *_: nullcontext()
    os._exit(worker.work(settings_of(Path(var)), number, fence))
