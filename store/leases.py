"""Who may work on a run: claimed for a while, under a token, by one at a time.

A claim gives a fencing token that is greater than every one before it, and a lease. Whatever is
written about a run afterwards is written only where the token is the newest and the lease has not
ended. A process that slept through the end of its lease can write nothing any more, not even where
nobody else has claimed the run yet. Martin Kleppmann, "How to do distributed locking" (2016).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from store.runs import Run, Status, run_of
from store.tables import retrain_runs as runs

_LOCK = 0x67617465_72756E73
"""PostgreSQL's advisory lock on claims: "gateruns" in ASCII. SQLite has one writer anyway."""


@dataclass(frozen=True, slots=True)
class Token:
    """What its holder shows: the run, and the fence of its claim."""

    run: int
    fence: int


def claim(
    connection: Connection,
    owner: str,
    now: int,
    *,
    lease: int,
    attempts: int,
    run: int | None = None,
) -> Run | None:
    """Take the run that has been due longest, of a task that has none running; None for none.

    A run whose lease has ended is taken up again, unless it was claimed `attempts` times already:
    then it has failed, or was cancelled if somebody wanted it to be. lease: milliseconds. run: only
    that one. Needs a writing transaction; any number may claim at once, and each run goes to one.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    _give_up(connection, now, attempts)
    # One whose lease has ended comes first: of a task it is the only one that may be running.
    order = (runs.c.status == "queued", runs.c.due, runs.c.id)
    wanted = select(runs.c.id).where(_free(now)).order_by(*order).limit(1)
    if run is not None:
        expired = select(runs.c.task).where((runs.c.status == "running") & (runs.c.id != run))
        wanted = wanted.where((runs.c.id == run) & runs.c.task.not_in(expired))
    found = connection.execute(wanted).scalar_one_or_none()
    if found is None:
        return None
    newest = connection.execute(select(func.coalesce(func.max(runs.c.fence), 0))).scalar_one()
    taken = (
        update(runs)
        .where(runs.c.id == found)
        .values(
            status="running",
            attempt=runs.c.attempt + 1,
            fence=newest + 1,
            owner=owner,
            lease_until=now + lease,
            heartbeat=now,
            started=func.coalesce(runs.c.started, now),
        )
        .returning(*runs.columns)
    )
    return run_of(connection.execute(taken).one())


def claimable(connection: Connection, now: int) -> bool:
    """Whether there is a run that `claim` would take, or end."""
    return connection.execute(select(runs.c.id).where(_free(now)).limit(1)).first() is not None


def holds(connection: Connection, token: Token, now: int) -> bool:
    """Whether a token is still the one that counts, and its lease has not ended."""
    return connection.execute(select(runs.c.id).where(_held(token, now))).first() is not None


def heartbeat(
    connection: Connection,
    token: Token,
    now: int,
    *,
    lease: int,
    stage: str | None,
    progress: float,
    log: str,
) -> Run | None:
    """Lengthen a lease and say how far the work is; None where it is lost.

    lease: milliseconds from now. Needs a writing transaction.
    """
    change = {"lease_until": now + lease, "heartbeat": now, "log": log}
    change |= {"stage": stage, "progress": progress}
    told = update(runs).where(_held(token, now)).values(change).returning(*runs.columns)
    row = connection.execute(told).one_or_none()
    return None if row is None else run_of(row)


def finish(
    connection: Connection,
    token: Token,
    now: int,
    status: Status,
    *,
    outcome: str | None = None,
    error: str | None = None,
) -> bool:
    """Write what came of a run; False where the lease is lost. Needs a writing transaction."""
    change: dict[str, object] = {"status": status, "finished": now}
    change |= {"outcome": outcome, "error": error, "owner": None, "lease_until": None}
    if status in ("succeeded", "refused"):
        change["progress"] = 1.0
    return bool(connection.execute(update(runs).where(_held(token, now)).values(change)).rowcount)


def release(
    connection: Connection,
    token: Token,
    now: int,
    *,
    wait: int = 0,
    error: str | None = None,
    counts: bool = True,
) -> bool:
    """Put a run back into the queue; False where the lease is lost.

    wait: milliseconds before it may be claimed again. counts: whether this attempt is one of those
    that a run has; one that was stopped for no fault of its own is not. Needs to write.
    """
    back = {
        "status": "queued",
        "ready": now + wait,
        "owner": None,
        "lease_until": None,
        "error": error,
        "attempt": runs.c.attempt if counts else runs.c.attempt - 1,
    }
    return bool(connection.execute(update(runs).where(_held(token, now)).values(back)).rowcount)


def _free(now: int) -> ColumnElement[bool]:
    """Queued, or left behind, and no other of its task is worked on."""
    busy = select(runs.c.task).where((runs.c.status == "running") & (runs.c.lease_until > now))
    left = or_(
        (runs.c.status == "queued") & (runs.c.ready <= now),
        (runs.c.status == "running") & (runs.c.lease_until <= now),
    )
    return left & runs.c.task.not_in(busy)


def _held(token: Token, now: int) -> ColumnElement[bool]:
    return and_(
        runs.c.id == token.run,
        runs.c.fence == token.fence,
        runs.c.status == "running",
        runs.c.lease_until > now,
    )


def _give_up(connection: Connection, now: int, attempts: int) -> None:
    """End the runs whose lease has ended too often, or that were to be cancelled."""
    ended = (runs.c.status == "running") & (runs.c.lease_until <= now)
    done = {"finished": now, "owner": None, "lease_until": None}
    connection.execute(update(runs).where(ended & runs.c.cancel).values(status="cancelled", **done))
    often = (ended | (runs.c.status == "queued")) & (runs.c.attempt >= attempts)
    reason = func.coalesce(
        runs.c.error, f"its process was killed or hung, {attempts} times: it is not tried again"
    )
    connection.execute(update(runs).where(often).values(status="failed", error=reason, **done))
