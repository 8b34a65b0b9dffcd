"""Runs and schedules: made once, claimed by one, written by who holds the newest token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from store import leases
from store.database import Database
from store.leases import Token
from store.moment import now_of
from store.runs import (
    NewRun,
    Run,
    Trigger,
    ask_run,
    cancel_run,
    find_run,
    list_runs,
    newest_run,
    waiting_run,
)
from store.schedulers import ALIVE_MS, alive, beat, leave
from store.schedules import (
    Schedule,
    advance_schedule,
    drift_schedules,
    due_schedules,
    find_schedule,
    list_schedules,
    put_schedule,
    remove_schedule,
)

NOW = 1_800_000_000_000
LEASE = 60_000


class _UndoneError(Exception):
    pass


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    """A writing transaction that leaves nothing behind."""
    try:
        with database.writing() as connection:
            yield connection
            raise _UndoneError
    except _UndoneError:
        pass


def new(
    task: str = "load", due: int = NOW, trigger: Trigger = "schedule", asked_by: str = "me"
) -> NewRun:
    return NewRun(task, trigger, due, "load.csv", None, "{}", asked_by)


def schedule(task: str = "load", **changes: object) -> Schedule:
    base = Schedule(
        task, "0 3 * * *", "UTC", "log", None, "{}", "latest", True, 0, True, NOW, 1, "me"
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def asked(connection: Connection, task: str = "load", due: int = NOW) -> Run:
    return ask_run(connection, new(task, due), NOW)[0]


def claimed(connection: Connection, now: int = NOW, **changes: int) -> Run | None:
    values = {"lease": LEASE, "attempts": 3} | changes
    return leases.claim(connection, "me", now, **values)


def token(run: Run | None) -> Token:
    assert run is not None
    return Token(run.id, run.fence)


def test_a_due_time_makes_one_run(connection: Connection) -> None:
    first, made = ask_run(connection, new(), NOW)
    second, again = ask_run(connection, new(asked_by="another"), NOW + 5)
    assert (made, again) == (True, False)
    assert first == second
    _, other = ask_run(connection, new(due=NOW + 1), NOW)
    _, manual = ask_run(connection, new(trigger="manual"), NOW)
    assert (other, manual) == (True, True)


def test_runs_are_listed_newest_first(connection: Connection) -> None:
    ids = [asked(connection, due=NOW + k).id for k in range(3)]
    asked(connection, "other")
    assert [run.id for run in list_runs(connection, task="load")] == ids[::-1]
    assert [run.id for run in list_runs(connection, task="load", before=ids[2], limit=1)] == [
        ids[1]
    ]
    newest = newest_run(connection, "load")
    assert newest is not None
    assert newest.id == ids[2]
    assert find_run(connection, 10**9) is None


def test_a_claim_gives_a_token_and_a_lease(connection: Connection) -> None:
    run = asked(connection)
    mine = claimed(connection)
    assert mine is not None
    assert (mine.id, mine.status, mine.attempt, mine.owner) == (run.id, "running", 1, "me")
    assert mine.lease_until == NOW + LEASE
    assert leases.holds(connection, token(mine), NOW + LEASE - 1)
    assert not leases.holds(connection, token(mine), NOW + LEASE)
    assert claimed(connection) is None


def test_a_task_has_one_run_at_a_time_and_others_go_on(connection: Connection) -> None:
    asked(connection, due=NOW)
    asked(connection, due=NOW + 1)
    other = asked(connection, "other", NOW + 2)
    first, second = claimed(connection), claimed(connection)
    assert first is not None
    assert second is not None
    assert (first.due, second.id) == (NOW, other.id)
    assert claimed(connection) is None
    assert leases.finish(connection, token(first), NOW, "succeeded")
    third = claimed(connection)
    assert third is not None
    assert third.due == NOW + 1


def test_one_named_run_waits_for_the_running_one_of_its_task(connection: Connection) -> None:
    asked(connection)
    wanted = asked(connection, due=NOW + 1)
    first = claimed(connection)
    assert claimed(connection, run=wanted.id) is None
    assert claimed(connection, NOW + LEASE, run=wanted.id) is None  # the first is taken up again
    leases.finish(connection, token(first), NOW, "refused")
    found = claimed(connection, run=wanted.id)
    assert found is not None
    assert found.id == wanted.id


def test_a_run_whose_lease_ended_is_taken_up_under_a_greater_token(connection: Connection) -> None:
    asked(connection)
    first = claimed(connection)
    second = claimed(connection, NOW + LEASE)
    assert first is not None
    assert second is not None
    assert (second.id, second.attempt) == (first.id, 2)
    assert second.fence > first.fence
    late = NOW + LEASE + 1
    assert not leases.holds(connection, token(first), late)
    assert not leases.finish(connection, token(first), late, "succeeded", outcome="{}")
    assert not leases.release(connection, token(first), late)
    beat = leases.heartbeat(
        connection, token(first), late, lease=LEASE, stage="fit", progress=0.5, log="mine"
    )
    assert beat is None
    run = find_run(connection, second.id)
    assert run == second


def test_nothing_is_written_after_the_lease_even_if_nobody_took_over(
    connection: Connection,
) -> None:
    asked(connection)
    mine = token(claimed(connection))
    late = NOW + LEASE
    assert not leases.finish(connection, mine, late, "succeeded")
    assert not leases.release(connection, mine, late)
    kept = leases.heartbeat(connection, mine, late, lease=LEASE, stage=None, progress=0.0, log="")
    assert kept is None


def test_heartbeats_lengthen_a_lease(connection: Connection) -> None:
    asked(connection)
    mine = token(claimed(connection))
    kept = leases.heartbeat(
        connection, mine, NOW + 50_000, lease=LEASE, stage="fit", progress=0.25, log="one\n"
    )
    assert kept is not None
    assert (kept.stage, kept.progress, kept.log) == ("fit", 0.25, "one\n")
    assert leases.holds(connection, mine, NOW + LEASE + 1)


def test_a_run_that_is_killed_too_often_has_failed(connection: Connection) -> None:
    run = asked(connection)
    for attempt in range(3):
        assert claimed(connection, NOW + attempt * LEASE) is not None
    assert claimed(connection, NOW + 3 * LEASE) is None
    ended = find_run(connection, run.id)
    assert ended is not None
    assert (ended.status, ended.attempt) == ("failed", 3)
    assert "3 times" in str(ended.error)


def test_a_released_run_waits_and_may_not_count(connection: Connection) -> None:
    run = asked(connection)
    assert leases.release(
        connection, token(claimed(connection)), NOW, wait=5_000, error="the disk is full"
    )
    assert claimed(connection, NOW + 4_999) is None
    again = claimed(connection, NOW + 5_000)
    assert again is not None
    assert (again.id, again.attempt) == (run.id, 2)
    assert leases.release(connection, token(again), NOW + 5_000, counts=False)
    back = find_run(connection, run.id)
    assert back is not None
    assert (back.status, back.attempt, back.owner) == ("queued", 1, None)


def test_cancelling(connection: Connection) -> None:
    waits = asked(connection, "a")
    cancelled = cancel_run(connection, waits.id, NOW)
    assert cancelled is not None
    assert cancelled.status == "cancelled"
    asked(connection, "b")
    mine = claimed(connection)
    assert mine is not None
    told = cancel_run(connection, mine.id, NOW)
    assert told is not None
    assert (told.status, told.cancel) == ("running", True)
    assert claimed(connection, NOW + LEASE) is None  # its process is gone: it is not begun again
    ended = find_run(connection, mine.id)
    assert ended is not None
    assert ended.status == "cancelled"
    assert cancel_run(connection, mine.id, NOW) == ended
    assert cancel_run(connection, 10**9, NOW) is None


def test_a_waiting_run_is_found(connection: Connection) -> None:
    assert waiting_run(connection, "load", "manual") is None
    run, _ = ask_run(connection, new(trigger="manual"), NOW)
    assert waiting_run(connection, "load", "manual") == run
    claimed(connection)
    assert waiting_run(connection, "load", "manual") is None


def test_a_task_has_one_schedule(connection: Connection) -> None:
    put_schedule(connection, schedule())
    changed = schedule(cron=None, next_due=None, on_drift=False, enabled=False, query="SELECT 1")
    put_schedule(connection, changed)
    put_schedule(connection, schedule("a"))
    assert find_schedule(connection, "load") == changed
    assert [each.task for each in list_schedules(connection)] == ["a", "load"]
    assert remove_schedule(connection, "load")
    assert not remove_schedule(connection, "load")
    assert find_schedule(connection, "load") is None


def test_only_what_is_enabled_and_due_is_due(connection: Connection) -> None:
    put_schedule(connection, schedule("due"))
    put_schedule(connection, schedule("later", next_due=NOW + 1))
    put_schedule(connection, schedule("paused", enabled=False))
    put_schedule(connection, schedule("by hand", cron=None, next_due=None, on_drift=False))
    assert [each.task for each in due_schedules(connection, NOW)] == ["due"]
    assert [each.task for each in drift_schedules(connection)] == ["due", "later"]


def test_a_schedule_moves_on_once(connection: Connection) -> None:
    seen = schedule()
    put_schedule(connection, seen)
    assert advance_schedule(connection, seen, NOW + 1)
    assert not advance_schedule(connection, seen, NOW + 1)
    put_schedule(connection, schedule(changed=2))
    assert not advance_schedule(connection, seen, NOW + 1)


def test_schedulers_are_alive_for_a_while(connection: Connection) -> None:
    beat(connection, "one", NOW)
    beat(connection, "one", NOW + 1)
    beat(connection, "two", NOW)
    assert alive(connection, NOW) == 2
    leave(connection, "two")
    assert alive(connection, NOW + ALIVE_MS) == 1
    assert alive(connection, NOW + ALIVE_MS + 1) == 0


def test_the_database_has_a_clock(database: Database) -> None:
    with database.reading() as connection:
        first, second = now_of(connection), now_of(connection)
    assert 1_700_000_000_000 < first <= second < first + 60_000
