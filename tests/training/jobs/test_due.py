"""From schedules to runs: missed times by policy, and drift with its cool-down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from store import leases
from store.database import Database, open_database
from store.leases import Token
from store.migrate import migrate
from store.runs import Run, Status, ask_run, list_runs, run_of_schedule
from store.schedules import Missed, Schedule, find_schedule, put_schedule
from training.jobs.due import AGAIN_MS, MOST, ask_drifted, ask_due, chosen

MINUTE, HOUR = 60_000, 3_600_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp()) * 1000


THREE = ms("2026-06-01T03:00+00:00")
NIGHTLY = Schedule(
    task="load",
    cron="0 3 * * *",
    timezone="UTC",
    source="load.csv",
    query=None,
    options='{"seed":7}',
    missed="latest",
    on_drift=True,
    cooldown=24 * HOUR,
    enabled=True,
    next_due=THREE,
    changed=1,
    changed_by="me",
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path}/gatecast.db")
    migrate(opened)
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("missed", "hours", "days"),
    [
        ("skip", 0.01, [0]),
        ("skip", 1, []),
        ("skip", 24, [1]),
        ("skip", 71.9, []),
        ("latest", 0, [0]),
        ("latest", 1, [0]),
        ("latest", 71.9, [2]),
        ("all", 0, [0]),
        ("all", 71.9, [0, 1, 2]),
        ("all", 24 * 40, list(range(41 - MOST, 41))),
    ],
)
def test_missed_times(missed: Missed, hours: float, days: list[int]) -> None:
    schedule = replace(NIGHTLY, missed=missed)
    found = chosen(schedule, THREE + round(hours * HOUR))
    assert found == [THREE + day * 24 * HOUR for day in days]


def test_a_due_time_becomes_a_run_with_what_the_schedule_says(database: Database) -> None:
    with database.writing() as connection:
        put_schedule(connection, NIGHTLY)
        [made] = ask_due(connection, THREE + 5)
        assert ask_due(connection, THREE + 6) == []
        moved = find_schedule(connection, "load")
    assert (made.trigger, made.due, made.source, made.options) == (
        "schedule",
        THREE,
        "load.csv",
        '{"seed":7}',
    )
    assert moved == replace(NIGHTLY, next_due=THREE + 24 * HOUR)


def test_a_schedule_that_skips_moves_on_all_the_same(database: Database) -> None:
    with database.writing() as connection:
        put_schedule(connection, replace(NIGHTLY, missed="skip"))
        assert ask_due(connection, THREE + HOUR) == []
        moved = find_schedule(connection, "load")
    assert moved is not None
    assert moved.next_due == THREE + 24 * HOUR


def ended(database: Database, now: int, status: Status = "refused") -> Run:
    """A run of the task that was asked for and finished at one moment."""
    with database.writing() as connection:
        ask_run(connection, run_of_schedule(NIGHTLY, "manual", now, "me"), now)
        run = leases.claim(connection, "me", now, lease=MINUTE, attempts=3)
        assert run is not None
        assert leases.finish(connection, Token(run.id, run.fence), now, status)
    return run


def drifted(database: Database, since: int | None, now: int) -> list[str]:
    with database.writing() as connection:
        return [run.trigger for run in ask_drifted(connection, now, lambda *_: since)]


def test_drift_makes_one_run_at_a_time(database: Database) -> None:
    with database.writing() as connection:
        put_schedule(connection, NIGHTLY)
    assert drifted(database, None, THREE) == []
    assert drifted(database, THREE, THREE + 1) == ["drift"]
    assert drifted(database, THREE, THREE + 2) == []  # it is queued
    with database.writing() as connection:
        run = leases.claim(connection, "me", THREE + 3, lease=MINUTE, attempts=3)
        assert run is not None
        leases.finish(connection, Token(run.id, run.fence), THREE + 4, "succeeded")
    assert drifted(database, THREE, THREE + 48 * HOUR) == []  # this drift has had its run


def test_drift_waits_for_the_cool_down(database: Database) -> None:
    with database.writing() as connection:
        put_schedule(connection, NIGHTLY)
    ended(database, THREE)
    since = THREE + HOUR
    assert drifted(database, since, THREE + 24 * HOUR - 1) == []
    assert drifted(database, since, THREE + 24 * HOUR) == ["drift"]


@pytest.mark.parametrize("status", ["succeeded", "cancelled"])
def test_drift_from_before_a_run_that_helped_or_was_stopped_is_answered(
    database: Database, status: Status
) -> None:
    with database.writing() as connection:
        put_schedule(connection, NIGHTLY)
    ended(database, THREE, status)
    assert drifted(database, THREE - 1, THREE + 48 * HOUR) == []


@pytest.mark.parametrize("status", ["refused", "failed"])
@pytest.mark.parametrize(("cooldown", "wait"), [(24 * HOUR, 24 * HOUR), (0, AGAIN_MS)])
def test_drift_that_a_run_did_not_end_is_asked_about_again_after_the_cool_down(
    database: Database, status: Status, cooldown: int, wait: int
) -> None:
    with database.writing() as connection:
        put_schedule(connection, replace(NIGHTLY, cooldown=cooldown))
    ended(database, THREE, status)
    assert drifted(database, THREE - 1, THREE + wait - 1) == []
    assert drifted(database, THREE - 1, THREE + wait) == ["drift"]
    assert drifted(database, THREE - 1, THREE + wait) == []  # it is queued


def test_drift_starts_nothing_where_it_may_not(database: Database) -> None:
    with database.writing() as connection:
        put_schedule(connection, replace(NIGHTLY, on_drift=False))
        put_schedule(connection, replace(NIGHTLY, task="paused", enabled=False))
    assert drifted(database, THREE, THREE + 1) == []
    with database.reading() as connection:
        assert list_runs(connection) == []
