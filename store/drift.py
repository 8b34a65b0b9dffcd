"""Whether a task's forecasts have become worse: the state of the test, shared by all replicas.

What the test is, is the service's business (`service.live.drift`): its state is opaque here. Who
retrains reads `raised_since`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from store.keys import insert
from store.tables import drift as table

Place = tuple[str, str, int]
"""Task, version and lead."""

_COLUMNS = tuple(column.name for column in table.columns)
_KEY = ("task", "version", "lead")
_CONFLICT = f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET " + ", ".join(
    f"{name} = excluded.{name}" for name in _COLUMNS[3:]
)


@dataclass(frozen=True, slots=True)
class Drift:
    """The test of one version of a task at one lead.

    test: its state, empty before the first block. statistic, blocks: what it has come to, and on
    how many blocks. began, updated, raised_at: milliseconds since 1970; raised_at is None as long
    as no drift was found.
    """

    task: str
    version: str
    lead: int
    test: str
    statistic: float
    blocks: int
    began: int
    updated: int
    raised_at: int | None

    @property
    def place(self) -> Place:
        """Task, version and lead."""
        return self.task, self.version, self.lead


def hold_drift(connection: Connection, places: Iterable[Place], now: int) -> dict[str, list[Drift]]:
    """By task, all of its rows, held until the transaction ends; those of `places` are made.

    Needs a writing transaction. now: milliseconds since 1970.
    """
    new = [(*place, "", 0.0, 0, now, now, None) for place in sorted({*places})]
    if not new:
        return {}
    insert(connection, table, _COLUMNS, new, "ON CONFLICT DO NOTHING")
    query = select(table).where(table.c.task.in_({row[0] for row in new}))
    query = query.order_by(*(table.c[name] for name in _KEY)).with_for_update()
    found: dict[str, list[Drift]] = {}
    for row in connection.execute(query):
        found.setdefault(row.task, []).append(Drift(*row))
    return found


def save_drift(connection: Connection, rows: Sequence[Drift]) -> None:
    """Write rows in the place of those there. Needs a writing transaction."""
    values = sorted(
        (tuple(getattr(each, name) for name in _COLUMNS) for each in rows),
        key=lambda row: row[:3],
    )
    if values:
        insert(connection, table, _COLUMNS, values, _CONFLICT)


def read_drift(connection: Connection, task: str | None = None) -> list[Drift]:
    """The rows of a task, or of all, by task, version and lead."""
    query = select(table).order_by(*(table.c[name] for name in _KEY))
    if task is not None:
        query = query.where(table.c.task == task)
    return [Drift(*row) for row in connection.execute(query)]


def scored_version(connection: Connection, task: str) -> str | None:
    """The version of a task whose forecasts are scored now: the one whose tests began last.

    None where none was scored. A version that serves again begins anew, so it is the one that
    serves, as soon as its first forecasts have met their truth.
    """
    rows = read_drift(connection, task)
    return max(rows, key=lambda row: row.began).version if rows else None


def raised_since(
    connection: Connection, task: str, since: int, *, version: str | None = None
) -> Drift | None:
    """The newest drift that was raised for a task after `since`, milliseconds since 1970.

    version: the one that serves, where what was said of others does not count any more.
    """
    rows: list[Any] = [
        (each.raised_at, each)
        for each in read_drift(connection, task)
        if each.raised_at is not None and each.raised_at > since
        if version in (None, each.version)
    ]
    return max(rows, key=lambda row: row[0])[1] if rows else None
