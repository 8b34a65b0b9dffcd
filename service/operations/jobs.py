"""Schedules and runs in the store, as the routes ask for them."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Connection

from service.operations.requests import NewSchedule
from service.problems import Fault, invalid
from store.cron import check_cron, due_after
from store.moment import now_of
from store.runs import NewRun, Run, ask_once, cancel_run, run_of_schedule
from store.schedules import LOG, Missed, Schedule, find_schedule, put_schedule

_HOUR_MS = 3_600_000


def ask_now(connection: Connection, task: str, by: str) -> Run:
    """Queue a run of a task; one that waits already is answered as it is.

    It learns from what the task's schedule names, or from its own log.
    """
    now, schedule = now_of(connection), find_schedule(connection, task)
    new = NewRun(task, "manual", now, LOG, None, "{}", by)
    if schedule is not None:
        new = run_of_schedule(schedule, "manual", now, by)
    return ask_once(connection, new, now)


def set_schedule(connection: Connection, task: str, said: NewSchedule, by: str) -> Schedule:
    """Set when a task is retrained. Raises 422 for what is no cron expression."""
    before = find_schedule(connection, task)
    cron = None
    try:
        if said.cron is not None:
            cron = check_cron(said.cron, said.timezone)
        check_cron("0 0 * * *", said.timezone)
    except ValueError as error:
        raise invalid([Fault(field="cron", reason=str(error)[:300])]) from None
    now = now_of(connection)
    made = Schedule(
        task=task,
        cron=cron,
        timezone=said.timezone,
        source=LOG if before is None else before.source,
        query=None if before is None else before.query,
        options="{}" if before is None else before.options,
        missed=cast("Missed", said.missed),
        on_drift=said.on_drift,
        cooldown=round(said.cooldown_hours * _HOUR_MS),
        enabled=said.enabled,
        next_due=None if cron is None else due_after(cron, said.timezone, now),
        changed=now,
        changed_by=by,
    )
    put_schedule(connection, made)
    return made


def cancel(connection: Connection, run: int) -> Run | None:
    """Cancel a run, if there is one of that number."""
    return cancel_run(connection, run, now_of(connection))
