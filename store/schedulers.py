"""Which schedulers are alive, by their heartbeats."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store.tables import schedulers

ALIVE_MS = 30_000
"""A scheduler that has said nothing for so long counts as gone."""


def beat(connection: Connection, owner: str, now: int) -> None:
    """Note that a scheduler is alive, and forget those that are long gone.

    now: milliseconds since 1970. Needs a writing transaction.
    """
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = {"owner": owner, "heartbeat": now}
    connection.execute(dialect.insert(schedulers).on_conflict_do_nothing(), row)
    connection.execute(update(schedulers).where(schedulers.c.owner == owner).values(heartbeat=now))
    connection.execute(delete(schedulers).where(schedulers.c.heartbeat < now - 10 * ALIVE_MS))


def leave(connection: Connection, owner: str) -> None:
    """Forget a scheduler that stops. Needs a writing transaction."""
    connection.execute(delete(schedulers).where(schedulers.c.owner == owner))


def alive(connection: Connection, now: int) -> int:
    """How many schedulers have a heartbeat of the last `ALIVE_MS`."""
    recent = select(func.count()).where(schedulers.c.heartbeat > now - ALIVE_MS)
    return int(connection.execute(recent).scalar_one())
