"""The scheduler: runs to processes, one at a time, and a stop that loses nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from store import leases
from store.database import Database, open_database
from store.drift import Drift, save_drift
from store.leases import Token
from store.migrate import migrate
from store.moment import now_of
from store.runs import Run, ask_run, cancel_run, list_runs, run_of_schedule
from store.schedulers import alive
from store.schedules import put_schedule
from store.settings import Settings
from tests.commands import ROOT, write_series
from tests.training.fits import embedded
from tests.training.jobs.test_due import NIGHTLY
from tests.training.retrains import asked, claimed, found
from training.jobs.scheduler import Scheduler

SECONDS = 120.0


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    embedded(tmp_path)
    return Settings(var=tmp_path)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = open_database(settings.store_url)
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def scheduler(database: Database, settings: Settings) -> Iterator[Scheduler]:
    one = Scheduler(database, settings)
    yield one
    one.close()


def ticked(scheduler: Scheduler, until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not until():
        assert time.monotonic() < deadline
        scheduler.tick()
        time.sleep(0.1)


def fitting(database: Database, tmp_path: Path, task: str = "steps") -> Run:
    """A run that takes half a minute: longer than it takes to be seen and stopped."""
    data = write_series(tmp_path / "series.csv", length=3_000, n_series=8)
    options = '{"horizon":4,"season":[4],"cells":["lstm"],"threads":1}'
    return asked(database, str(data), task=task, options=options)


def under_way(database: Database, run: Run) -> bool:
    return str(found(database, run).stage).startswith("fit")


def test_a_due_time_becomes_a_run(scheduler: Scheduler, database: Database) -> None:
    with database.writing() as connection:
        put_schedule(connection, NIGHTLY)
        ask_run(connection, run_of_schedule(NIGHTLY, "manual", 1, "me"), now_of(connection))
    assert claimed(database) is not None  # the task is busy: no process is begun
    scheduler.tick()
    with database.reading() as connection:
        assert [run.trigger for run in list_runs(connection)] == ["schedule", "manual"]
        assert alive(connection, now_of(connection)) == 1
    assert scheduler.child is None
    scheduler.close()
    with database.reading() as connection:
        assert alive(connection, now_of(connection)) == 0


def test_drift_of_the_version_that_serves_becomes_one_run(
    scheduler: Scheduler, database: Database
) -> None:
    with database.writing() as connection:
        now = now_of(connection)
        put_schedule(connection, replace(NIGHTLY, cooldown=0, next_due=None, cron=None))
        ask_run(connection, run_of_schedule(NIGHTLY, "manual", 1, "me"), now - 10_000)
        before = leases.claim(connection, "me", now - 9_000, lease=1_000, attempts=3)
        assert before is not None
        leases.finish(connection, Token(before.id, before.fence), now - 8_500, "refused")
        save_drift(connection, [drift("1", began=now - 8_000, raised_at=None)])
    scheduler.tick()
    assert triggers(database) == ["manual"]
    with database.writing() as connection:
        save_drift(connection, [drift("1", began=now - 8_000, raised_at=now - 5_000)])
        other = replace(NIGHTLY, task="other", cooldown=0, next_due=None, cron=None)
        put_schedule(connection, other)
        replaced = drift("1", began=now - 8_000, raised_at=now - 5_000)
        save_drift(connection, [replace(replaced, task="other")])
        successor = drift("2", began=now - 4_000, raised_at=None)
        save_drift(connection, [replace(successor, task="other")])
    scheduler.tick()
    scheduler.close()
    assert triggers(database) == ["drift", "manual"]
    scheduler.tick()
    scheduler.close()
    assert triggers(database) == ["drift", "manual"]


def drift(version: str, *, began: int, raised_at: int | None) -> Drift:
    return Drift("load", version, 1, "", 1.0, 60, began, began + 1, raised_at)


def triggers(database: Database) -> list[str]:
    with database.reading() as connection:
        return [run.trigger for run in list_runs(connection)]


def test_a_database_that_is_away_is_waited_for(settings: Settings) -> None:
    nowhere = open_database("postgresql://127.0.0.1:1/none")
    stop = threading.Event()
    thread = threading.Thread(target=Scheduler(nowhere, settings).run, args=(stop,))
    thread.start()
    time.sleep(0.5)
    assert thread.is_alive()
    stop.set()
    thread.join(SECONDS)
    assert not thread.is_alive()
    nowhere.close()


@pytest.mark.slow
def test_a_run_that_cannot_be_says_why(
    scheduler: Scheduler, database: Database, tmp_path: Path
) -> None:
    run = asked(database, str(tmp_path / "gone.csv"))
    ticked(scheduler, lambda: found(database, run).status == "failed")
    done = found(database, run)
    assert done.error == f"there is no file {tmp_path / 'gone.csv'}"
    assert done.log.splitlines()[-1].endswith(f"failed: {done.error}")
    assert (tmp_path / "runs" / f"{run.id}.log").read_text() == ""  # no trace


@pytest.mark.slow
def test_a_killed_process_is_followed_and_a_stopped_one_gives_its_run_back(
    scheduler: Scheduler, database: Database, tmp_path: Path
) -> None:
    run = fitting(database, tmp_path)
    ticked(scheduler, lambda: under_way(database, run))
    assert scheduler.child is not None
    os.kill(scheduler.child.process.pid, signal.SIGKILL)
    scheduler.child.process.wait()
    ticked(scheduler, lambda: found(database, run).attempt == 2)  # long before its lease ends
    ticked(scheduler, lambda: found(database, run).log.count("fit lstm") == 2)
    scheduler.close()
    back = found(database, run)
    assert (back.status, back.attempt, back.owner) == ("queued", 1, None)
    assert back.log.splitlines()[-1].endswith("stopped; it goes on where it was")


@pytest.mark.slow
def test_a_cancelled_run_stops(scheduler: Scheduler, database: Database, tmp_path: Path) -> None:
    run = fitting(database, tmp_path)
    ticked(scheduler, lambda: under_way(database, run))
    with database.writing() as connection:
        cancel_run(connection, run.id, now_of(connection))
    ticked(scheduler, lambda: found(database, run).status == "cancelled")
    assert found(database, run).log.splitlines()[-1].endswith("cancelled")
