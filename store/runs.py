"""Runs of retraining: asked for, listed, cancelled. `store.leases` is how one is worked on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store.schedules import Schedule
from store.tables import retrain_runs as runs

Status = Literal["queued", "running", "succeeded", "refused", "failed", "cancelled"]
"""succeeded: a version of the run is the champion; refused: the gate let none of them through."""
Trigger = Literal["schedule", "manual", "drift"]

RETRAIN = "retrain"
"""The kind of run that there is."""
UNFINISHED = ("queued", "running")

_COLUMNS = tuple(runs.columns)


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to ask for. The fields are those of `Run`."""

    task: str
    trigger: Trigger
    due: int
    source: str
    query: str | None
    options: str
    asked_by: str


@dataclass(frozen=True, slots=True)
class Run:
    """A row of the table `retrain_runs`. Times are milliseconds since 1970.

    due: when it was to begin; there is one run for a task, trigger and due. source, query, options:
    those of the schedule when the run was made. ready: not to be claimed before. attempt: how often
    it was claimed. cancel: somebody wants it stopped. fence: the token of the newest claim; every
    claim's is greater than all before it. owner, lease_until, heartbeat: of who works on it.
    progress: 0 to 1. log: its newest lines. outcome: JSON of what came of it.
    """

    id: int
    task: str
    kind: str
    trigger: Trigger
    due: int
    source: str
    query: str | None
    options: str
    asked: int
    asked_by: str
    status: Status
    ready: int
    attempt: int
    cancel: bool
    fence: int
    owner: str | None
    lease_until: int | None
    heartbeat: int | None
    stage: str | None
    progress: float
    log: str
    outcome: str | None
    error: str | None
    started: int | None
    finished: int | None


def ask_run(connection: Connection, new: NewRun, now: int) -> tuple[Run, bool]:
    """Queue a run; the run, and whether it was made now.

    However many ask for one (task, trigger, due) at once, one run is made. Needs a writing
    transaction.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = {
        "task": new.task,
        "kind": RETRAIN,
        "trigger": new.trigger,
        "due": new.due,
        "source": new.source,
        "query": new.query,
        "options": new.options,
        "asked": now,
        "asked_by": new.asked_by,
        "status": "queued",
        "ready": now,
        "attempt": 0,
        "cancel": False,
        "fence": 0,
        "progress": 0.0,
        "log": "",
    }
    insert = dialect.insert(runs).values(row).on_conflict_do_nothing()
    made = connection.execute(insert.returning(*_COLUMNS)).one_or_none()
    if made is not None:
        return run_of(made), True
    same = (runs.c.task == new.task) & (runs.c.trigger == new.trigger) & (runs.c.due == new.due)
    return run_of(connection.execute(select(*_COLUMNS).where(same)).one()), False


def run_of_schedule(schedule: Schedule, trigger: Trigger, due: int, asked_by: str) -> NewRun:
    """A run of what a schedule says."""
    return NewRun(
        schedule.task,
        trigger,
        due,
        schedule.source,
        schedule.query,
        schedule.options,
        asked_by,
    )


def ask_once(connection: Connection, new: NewRun, now: int) -> Run:
    """Queue a run, or the run of the same that waits already by the same trigger.

    Needs a writing transaction.
    """
    waits = waiting_run(connection, new.task, new.trigger)
    if waits is not None and (waits.source, waits.query, waits.options) == (
        new.source,
        new.query,
        new.options,
    ):
        return waits
    return ask_run(connection, new, now)[0]


def find_run(connection: Connection, id: int) -> Run | None:  # noqa: A002
    """The run of that number, if there is one."""
    row = connection.execute(select(*_COLUMNS).where(runs.c.id == id)).one_or_none()
    return None if row is None else run_of(row)


def list_runs(
    connection: Connection, *, task: str | None = None, before: int | None = None, limit: int = 50
) -> list[Run]:
    """At most `limit` runs, newest first. before: the id that the page before ended with."""
    query = select(*_COLUMNS).order_by(runs.c.id.desc()).limit(limit)
    if task is not None:
        query = query.where(runs.c.task == task)
    if before is not None:
        query = query.where(runs.c.id < before)
    return [run_of(row) for row in connection.execute(query)]


def waiting_run(connection: Connection, task: str, trigger: Trigger) -> Run | None:
    """The oldest run of a task that is queued by a trigger and was never begun."""
    same = (runs.c.task == task) & (runs.c.trigger == trigger) & (runs.c.status == "queued")
    query = select(*_COLUMNS).where(same & (runs.c.attempt == 0)).order_by(runs.c.id).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else run_of(row)


def newest_run(connection: Connection, task: str) -> Run | None:
    """The run of a task that was asked for last."""
    return next(iter(list_runs(connection, task=task, limit=1)), None)


def cancel_run(connection: Connection, id: int, now: int) -> Run | None:  # noqa: A002
    """Cancel a run that waits, or ask the one who works on it to stop; the run as it is then.

    A finished run is left as it is. Needs a writing transaction.
    """
    mine = runs.c.id == id
    connection.execute(
        update(runs)
        .where(mine & (runs.c.status == "queued"))
        .values(status="cancelled", cancel=True, finished=now)
    )
    connection.execute(update(runs).where(mine & (runs.c.status == "running")).values(cancel=True))
    return find_run(connection, id)


def run_of(row: Any) -> Run:
    """A whole row of the table as a value."""
    values = row._asdict()
    return Run(**values | {"cancel": bool(values["cancel"])})
