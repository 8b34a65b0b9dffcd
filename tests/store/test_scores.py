from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from store.database import Database
from store.scores import HOUR, Scores, add_scores, read_scores, total


@pytest.fixture
def task() -> str:
    return uuid4().hex


def scores(task: str, *, version: str = "1", lead: int = 1, hour: int = 5) -> Scores:
    return Scores(task, version, lead, hour * HOUR, 3, 1.5, 2.25, 0.75, 2.0, 3.0)


def added(database: Database, *rows: Scores) -> None:
    with database.writing() as connection:
        add_scores(connection, rows)


def read(database: Database, task: str, **asked: int | str) -> list[Scores]:
    with database.reading() as connection:
        return read_scores(connection, task, **asked)  # type: ignore[arg-type]


def test_sums_add_up(database: Database, task: str) -> None:
    added(database, scores(task), scores(task, lead=24))
    added(database, scores(task))
    twice = Scores(task, "1", 1, 5 * HOUR, 6, 3.0, 4.5, 1.5, 4.0, 6.0)
    assert read(database, task) == [twice, scores(task, lead=24)]


def test_what_replicas_add_at_once_is_all_there(database: Database, task: str) -> None:
    rows = [scores(task, lead=lead, hour=hour) for lead in (1, 2, 3) for hour in range(40)]
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda shift: added(database, *rows[shift:], *rows[:shift]), range(8)):
            pass
    assert {row.scored for row in read(database, task)} == {24}


def test_an_interval_that_a_version_has_not_stays_unknown(database: Database, task: str) -> None:
    row = replace(scores(task), covered_95=None)
    added(database, row)
    added(database, row)
    [found] = read(database, task)
    assert (found.covered_80, found.covered_95) == (4.0, None)


def test_they_are_read_by_version_and_time_the_newest_first(database: Database, task: str) -> None:
    rows = [scores(task, version=v, hour=hour) for v in ("1", "2") for hour in (1, 2, 3)]
    added(database, *rows, scores(f"{task}-other"))
    assert read(database, task, version="2") == rows[:2:-1]
    found = read(database, task, since=2 * HOUR, until=3 * HOUR)
    assert found == [rows[1], rows[4]]
    assert [row.bucket for row in read(database, task, limit=3)] == [3 * HOUR, 3 * HOUR, 2 * HOUR]


def test_a_total_is_over_all_hours(task: str) -> None:
    rows = [scores(task, hour=hour, version=v) for hour in (4, 2) for v in ("1", "2")]
    found = total([*rows, replace(rows[0], covered_80=None)])
    assert found["2", 1] == Scores(task, "2", 1, 2 * HOUR, 6, 3.0, 4.5, 1.5, 4.0, 6.0)
    assert (found["1", 1].scored, found["1", 1].covered_80) == (9, None)
