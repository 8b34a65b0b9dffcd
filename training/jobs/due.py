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
AGAIN_MS = 3_600_000
"""Between a run that did not end a drift and the next one for it, however short the cool-down."""
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
    """The schedules that drift is to start a run of now, and when that run came due.

    None is made while the task has a run that is not finished, or before the cool-down after its
    newest has passed. A run that has helped answers the drift, and so does one that somebody
    stopped; where the newest was refused or failed, another may be made: there is more to learn
    from by then.
    """
    found = []
    for schedule in drift_schedules(connection):
        since = drift_since(connection, schedule.task)
        if since is None:
            continue
        due = may_follow(newest_run(connection, schedule.task), schedule, since)
        if due is not None and due <= now:
            found.append((schedule, due))
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


def may_follow(newest: Run | None, schedule: Schedule, since: int) -> int | None:
    """From when on drift since a moment may start a run after the newest one, if at all. Pure."""
    if newest is None:
        return since
    if newest.status in UNFINISHED:
        return None
    ended = newest.finished if newest.finished is not None else newest.asked
    if ended < since:
        return max(since, ended + schedule.cooldown)
    if newest.status in ("refused", "failed"):
        return ended + max(schedule.cooldown, AGAIN_MS)
    return None
