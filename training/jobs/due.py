"""From schedules to runs: what has come due, what was missed, and what drift asks for."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from sqlalchemy import Connection

from store.cron import due_after, dues_between
from store.runs import UNFINISHED, Run, ask_run, newest_run, run_of_schedule
from store.schedules import (
    Missed,
    Schedule,
    advance_schedule,
    drift_schedules,
    due_schedules,
)

LATE_MS = 60_000
"""A due time that is older than this was missed: a scheduler looks every second."""
MOST = 24
"""Runs that `all` makes of missed times at most, the newest ones."""
_LOOKED_THROUGH = 100_000
"""Missed times that are looked through, two months of every minute; older ones are dropped."""

DriftSince = Callable[[Connection, str], int | None]
"""When drift of a task was raised, in milliseconds since 1970; None where there is none."""


def ask_due(connection: Connection, now: int) -> list[Run]:
    """Queue a run for each due time that has come, by each schedule's policy, and move it on.

    Any number of schedulers may do so at once: each due time makes one run. Returns the runs that
    were made now. Needs a writing transaction.
    """
    made = []
    for schedule in due_schedules(connection, now):
        if schedule.cron is None or schedule.next_due is None:
            continue
        for due in chosen(schedule, now):
            run, new = ask_run(
                connection, run_of_schedule(schedule, "schedule", due, "schedule"), now
            )
            made += [run] if new else []
        following = due_after(schedule.cron, schedule.timezone, now)
        advance_schedule(connection, schedule, following)
    return made


def ask_drifted(connection: Connection, now: int, drift_since: DriftSince) -> list[Run]:
    """Queue a run for each task that has drifted. Needs a writing transaction."""
    made = []
    for schedule, since in drifted(connection, now, drift_since):
        run, new = ask_run(connection, run_of_schedule(schedule, "drift", since, "drift"), now)
        made += [run] if new else []
    return made


def drifted(
    connection: Connection, now: int, drift_since: DriftSince
) -> list[tuple[Schedule, int]]:
    """The schedules that drift is to start a run of now, and since when.

    One drift makes one run. None is made while the task has a run that is not finished, before the
    cool-down after its newest has passed, or if the newest was finished after the drift was raised.
    """
    found = []
    for schedule in drift_schedules(connection):
        since = drift_since(connection, schedule.task)
        if since is not None and may_follow(
            newest_run(connection, schedule.task), schedule, since, now
        ):
            found.append((schedule, since))
    return found


def chosen(schedule: Schedule, now: int) -> list[int]:
    """The due times, of those that have come since, that a schedule wants a run of. Pure."""
    if schedule.cron is None or schedule.next_due is None:
        return []
    first = schedule.next_due
    since = dues_between(schedule.cron, schedule.timezone, first, now)
    return _chosen([first, *islice(since, _LOOKED_THROUGH)], schedule.missed, now)


def _chosen(dues: list[int], missed: Missed, now: int) -> list[int]:
    if missed == "all":
        return dues[-MOST:]
    return [due for due in dues[-1:] if missed == "latest" or due >= now - LATE_MS]


def may_follow(newest: Run | None, schedule: Schedule, since: int, now: int) -> bool:
    """Whether drift since a moment may start a run after the newest one. Pure."""
    if newest is None:
        return True
    if newest.status in UNFINISHED:
        return False
    ended = newest.finished if newest.finished is not None else newest.asked
    return ended < since and now >= ended + schedule.cooldown
