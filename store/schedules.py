"""When a task is to be retrained, and on what: one schedule a task."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store.tables import schedules

Missed = Literal["skip", "latest", "all"]
"""What becomes of due times that nobody was there for: none, the newest, or every one is run."""

LOG = "log"
"""The source that is the task's own observation log."""

_COLUMNS = tuple(schedules.columns)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A row of the table `schedules`.

    cron: five fields, read in `timezone`; None where only people or drift start a run. source: a
    file's path, a database's URL (asked `query`), or `LOG`. options: JSON that means nothing here.
    cooldown: milliseconds after a run before drift may start the next. next_due, changed:
    milliseconds since 1970; next_due is None without cron.
    """

    task: str
    cron: str | None
    timezone: str
    source: str
    query: str | None
    options: str
    missed: Missed
    on_drift: bool
    cooldown: int
    enabled: bool
    next_due: int | None
    changed: int
    changed_by: str


def put_schedule(connection: Connection, schedule: Schedule) -> None:
    """Set a task's schedule, in place of the one it had. Needs a writing transaction."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = asdict(schedule)
    others = {name: value for name, value in row.items() if name != "task"}
    insert = dialect.insert(schedules).values(row)
    connection.execute(insert.on_conflict_do_update(index_elements=["task"], set_=others))


def find_schedule(connection: Connection, task: str) -> Schedule | None:
    """The schedule of a task, if it has one."""
    row = connection.execute(select(*_COLUMNS).where(schedules.c.task == task)).one_or_none()
    return None if row is None else _schedule(row)


def list_schedules(connection: Connection) -> list[Schedule]:
    """Every schedule, by task."""
    rows = connection.execute(select(*_COLUMNS))
    return sorted(map(_schedule, rows), key=lambda schedule: schedule.task)


def due_schedules(connection: Connection, now: int) -> list[Schedule]:
    """The enabled schedules whose next due time has come, by task."""
    come = (schedules.c.next_due <= now) & schedules.c.enabled
    rows = connection.execute(select(*_COLUMNS).where(come))
    return sorted(map(_schedule, rows), key=lambda schedule: schedule.task)


def drift_schedules(connection: Connection) -> list[Schedule]:
    """The enabled schedules that drift may start, by task."""
    rows = connection.execute(select(*_COLUMNS).where(schedules.c.on_drift & schedules.c.enabled))
    return sorted(map(_schedule, rows), key=lambda schedule: schedule.task)


def advance_schedule(connection: Connection, seen: Schedule, next_due: int | None) -> bool:
    """Move a schedule on to its next due time, if it is still as it was seen.

    False where another scheduler has moved it, or a person changed it. Needs a writing transaction.
    """
    same = (
        (schedules.c.task == seen.task)
        & (schedules.c.next_due == seen.next_due)
        & (schedules.c.changed == seen.changed)
    )
    moved = connection.execute(update(schedules).where(same).values(next_due=next_due))
    return bool(moved.rowcount)


def remove_schedule(connection: Connection, task: str) -> bool:
    """Remove a task's schedule; False where it has none. Its runs stay. Needs to write."""
    return bool(connection.execute(delete(schedules).where(schedules.c.task == task)).rowcount)


def _schedule(row: Any) -> Schedule:
    values = row._asdict()
    return Schedule(
        **values | {name: bool(values[name]) for name in ("on_drift", "enabled")},
    )
