"""One holder a task: a lease in the database, with a token that only grows.

A thread of the holder's prolongs the lease. A holder that is killed keeps others out until it ends,
no longer. One that was paused beyond it finds out when it next asks, and must not go on: the lease
is over even where nobody took it yet, and whoever took it has a larger token.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import update
from sqlalchemy.dialects import postgresql, sqlite

from store.database import Database
from store.errors import StoreDownError, StoreError
from store.moment import now_of
from store.tables import task_locks

LEASE_SECONDS = 15.0
WAIT_SECONDS = 60.0
_PAUSE_SECONDS = 0.1


class LockBusyError(StoreError):
    """Somebody else holds the lock of the task, and did not let go while we waited."""


class LeaseLostError(StoreError):
    """The lease ended, or somebody else has taken over: nothing more may be done under it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lock that is held: until `seconds` after the newest `renew`."""

    database: Database
    task: str
    token: int
    seconds: float

    def renew(self) -> None:
        """Hold on for `seconds` more. Raises LeaseLostError where the lease is no longer ours."""
        with self.database.writing() as connection:
            now = now_of(connection)
            mine = (
                (task_locks.c.task == self.task)
                & (task_locks.c.token == self.token)
                & (task_locks.c.until > now)
            )
            change = update(task_locks).where(mine).values(until=now + _ms(self.seconds))
            if connection.execute(change).rowcount != 1:
                raise LeaseLostError(f"the lock of task {self.task!r} is no longer ours")

    def release(self) -> None:
        """Let go, if it still is ours."""
        mine = (task_locks.c.task == self.task) & (task_locks.c.token == self.token)
        with self.database.writing() as connection:
            connection.execute(update(task_locks).where(mine).values(until=0))


@contextmanager
def holding(
    database: Database,
    task: str,
    *,
    by: str,
    seconds: float = LEASE_SECONDS,
    wait: float | None = None,
) -> Iterator[Lease]:
    """Hold the lock of a task for the block. by: who, for those who look at the table.

    Raises LockBusyError where another holds it for longer than `wait` seconds (`WAIT_SECONDS`), and
    StoreDownError where the database cannot be had. A failure to let go is passed over: the lease
    ends by itself.
    """
    deadline = time.monotonic() + (WAIT_SECONDS if wait is None else wait)
    while (lease := take(database, task, by=by, seconds=seconds)) is None:
        if time.monotonic() >= deadline:
            raise LockBusyError(f"somebody else is changing task {task!r}: try again later")
        time.sleep(_PAUSE_SECONDS)
    done = threading.Event()
    beat = threading.Thread(target=_prolong, args=(lease, done), daemon=True)
    beat.start()
    try:
        yield lease
    finally:
        done.set()
        beat.join()
        with suppress(StoreDownError):
            lease.release()


def _prolong(lease: Lease, done: threading.Event) -> None:
    """Renew until done or lost; a database that is down now may be back in time."""
    while not done.wait(lease.seconds / 4.0):
        try:
            lease.renew()
        except StoreDownError:
            continue
        except LeaseLostError:
            return


def take(database: Database, task: str, *, by: str, seconds: float) -> Lease | None:
    """The lease of a task, if it is free; None where another holds it."""
    dialect = postgresql if database.dialect == "postgresql" else sqlite
    with database.writing() as connection:
        now = now_of(connection)
        first = dialect.insert(task_locks).values(
            task=task, token=1, holder=by[:200], until=now + _ms(seconds)
        )
        after = first.on_conflict_do_update(
            index_elements=[task_locks.c.task],
            set_={
                "token": task_locks.c.token + 1,
                "holder": first.excluded.holder,
                "until": first.excluded.until,
            },
            where=task_locks.c.until <= now,
        ).returning(task_locks.c.token)
        token = connection.execute(after).scalar()
    return None if token is None else Lease(database, task, int(token), seconds)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
