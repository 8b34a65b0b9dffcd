"""A process's hold on its run: it beats, it tells, and it does nothing once the lease is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import update

from store.database import Database, open_database
from store.migrate import migrate
from store.runs import Run, cancel_run
from store.tables import retrain_runs
from tests.training.retrains import asked, claimed, found, left
from training.exits import terminable
from training.jobs.lease import Lease, LeaseLostError, RunCancelledError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path}/gatecast.db")
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def run(database: Database) -> Run:
    asked(database, "series.csv")
    mine = claimed(database)
    assert mine is not None
    return mine


def test_a_heartbeat_says_how_far_the_work_is(database: Database, run: Run) -> None:
    lease = Lease(database, run, 60.0)
    lease.tell("reading", stage="snapshot", progress=0.25)
    lease.tell("read")
    lease.beat()
    now = found(database, run)
    assert (now.stage, now.progress) == ("snapshot", 0.25)
    assert [line.split(" ", 2)[2] for line in now.log.splitlines()] == ["reading", "read"]


def test_the_log_keeps_its_newest_lines(database: Database, run: Run) -> None:
    lease = Lease(database, run, 60.0)
    for line in range(5000):
        lease.tell(f"line {line} {'x' * 50}")
    lease.beat()
    log = found(database, run).log
    assert len(log) <= 16_000
    assert "line 4999" in log.splitlines()[-1]


def test_the_next_attempt_goes_on_with_the_log(database: Database, run: Run) -> None:
    first = Lease(database, run, 60.0)
    first.tell("one")
    first.release(error="an outage")
    again = claimed(database)
    assert again is not None
    second = Lease(database, again, 60.0)
    second.tell("two")
    second.finish("failed", None, "no luck")
    now = found(database, run)
    assert [line[-3:] for line in now.log.splitlines()] == ["one", "two"]
    assert (now.status, now.error, now.attempt) == ("failed", "no luck", 2)


def test_nothing_passes_the_fence_after_the_lease(database: Database, run: Run) -> None:
    lease = Lease(database, run, 60.0)
    lease.fence()
    left(database)
    for late in (lease.fence, lease.beat, lease.release):
        with pytest.raises(LeaseLostError, match="not this process's any more"):
            late()
    with pytest.raises(LeaseLostError):
        lease.finish("succeeded", "{}", None)
    assert lease.lost.is_set()
    assert found(database, run).status == "running"


def test_a_lease_ends_by_the_clock(database: Database, run: Run) -> None:
    lease = Lease(database, run, 0.2)
    lease.beat()
    time.sleep(0.3)
    with pytest.raises(LeaseLostError):
        lease.fence()


def test_heartbeats_keep_it(database: Database, run: Run) -> None:
    lease = Lease(database, run, 6.0)
    lease.beat()
    with lease.kept(lambda: None):
        time.sleep(1.5)
    later = found(database, run)
    assert later.heartbeat is not None
    assert run.heartbeat is not None
    assert later.heartbeat >= run.heartbeat + 900
    lease.fence()


def test_a_cancelled_run_and_a_lost_one_are_noticed(database: Database, run: Run) -> None:
    lease, noticed = Lease(database, run, 0.6), threading.Semaphore(0)
    with lease.kept(noticed.release):
        with database.writing() as connection:
            cancel_run(connection, run.id, 0)
        assert noticed.acquire(timeout=10)
        assert lease.cancelled.is_set()
        assert not lease.lost.is_set()
        with database.writing() as connection:
            connection.execute(update(retrain_runs).values(fence=run.fence + 1))
        assert noticed.acquire(timeout=10)
        assert lease.lost.is_set()


def test_a_process_that_is_told_to_end_does_even_where_the_interrupt_is_lost(
    database: Database, run: Run
) -> None:
    lease = Lease(database, run, 60.0)
    with terminable(lease.leaving):
        lease.go_on()
        with suppress(KeyboardInterrupt):  # as a library does that goes on without an import
            os.kill(os.getpid(), signal.SIGTERM)
        for place in (lease.go_on, lease.mark):
            with pytest.raises(KeyboardInterrupt):
                place()


def test_a_stage_that_begins_after_a_run_was_cancelled_ends_it_once(
    database: Database, run: Run
) -> None:
    lease, noticed = Lease(database, run, 600.0), threading.Semaphore(0)
    with lease.kept(noticed.release):
        lease.mark()
        with database.writing() as connection:
            cancel_run(connection, run.id, 0)
        with pytest.raises(RunCancelledError):
            lease.mark()
        lease.mark()
        assert not noticed.acquire(timeout=0)
    assert lease.cancelled.is_set()
