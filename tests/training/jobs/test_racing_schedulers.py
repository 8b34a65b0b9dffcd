"""Fifty schedulers at one due time: one run, and one that works on it."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import pytest

from store.database import Database, open_database
from store.errors import StoreDownError
from store.leases import claim
from store.migrate import migrate
from store.moment import now_of
from store.runs import list_runs
from store.schedules import find_schedule, put_schedule
from tests.store.databases import KINDS, empty
from tests.training.jobs.test_due import NIGHTLY, THREE
from training.jobs.due import ask_due

PROCESSES, THREADS = 10, 5


def race(url: str, start: float, answers: SimpleQueue[tuple[int, int]]) -> None:
    """Five schedulers of one process: how many runs they made and claimed."""
    database = open_database(url)

    def tick(number: int) -> tuple[int, int]:
        time.sleep(max(0.0, start - time.time()))
        made = _asked(database)
        return made, _claimed(database, f"{os.getpid()}-{number}")

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(tick, range(THREADS)))
    database.close()
    answers.put((sum(made for made, _ in found), sum(claims for _, claims in found)))


def _asked(database: Database) -> int:
    while True:
        try:
            with database.writing() as connection:
                return len(ask_due(connection, THREE + 1000))
        except StoreDownError:  # SQLite's queue is long: as the scheduler does, later again
            time.sleep(0.1)


def _claimed(database: Database, owner: str) -> int:
    while True:
        try:
            with database.writing() as connection:
                now = now_of(connection)
                run = claim(connection, owner, now, lease=600_000, attempts=3)
                return int(run is not None)
        except StoreDownError:
            time.sleep(0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_fifty_schedulers_at_one_due_time_make_one_run(kind: str, tmp_path: Path) -> None:
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.training.jobs.test_racing_schedulers"])
    with empty(kind, tmp_path) as url:
        migrate(url)
        database = open_database(url)
        with database.writing() as connection:
            put_schedule(connection, NIGHTLY)
        answers: SimpleQueue[tuple[int, int]] = context.SimpleQueue()
        start = time.time() + 3.0
        racers = [
            context.Process(target=race, args=(url, start, answers)) for _ in range(PROCESSES)
        ]
        for racer in racers:
            racer.start()
        counts = [answers.get() for _ in racers]
        for racer in racers:
            racer.join()
        assert [racer.exitcode for racer in racers] == [0] * PROCESSES
        assert sum(made for made, _ in counts) == 1
        assert sum(claims for _, claims in counts) == 1
        with database.reading() as connection:
            [run] = list_runs(connection)
            schedule = find_schedule(connection, "load")
        database.close()
    assert (run.status, run.attempt, run.due) == ("running", 1, THREE)
    assert schedule is not None
    assert schedule.next_due == THREE + 24 * 3_600_000
