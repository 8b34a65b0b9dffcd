from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from store.database import Database
from store.drift import Drift, hold_drift, raised_since, read_drift, save_drift


@pytest.fixture
def task() -> str:
    return uuid4().hex


def test_rows_are_made_where_they_are_missing_and_kept_where_not(
    database: Database, task: str
) -> None:
    with database.writing() as connection:
        [row] = hold_drift(connection, [(task, "1", 24)], 77)[task]
        assert row == Drift(task, "1", 24, "", 0.0, 0, 77, 77, None)
        changed = replace(row, test="x" * 9000, statistic=0.1 + 0.2, blocks=3, updated=80)
        save_drift(connection, [changed])
    with database.writing() as connection:
        held = hold_drift(connection, [(task, "1", 24), (task, "2", 1)], 99)
        assert held == {task: [changed, Drift(task, "2", 1, "", 0.0, 0, 99, 99, None)]}
        assert hold_drift(connection, [], 99) == {}


def test_two_that_hold_a_row_take_turns(database: Database, task: str) -> None:
    def count(_: int) -> None:
        with database.writing() as connection:
            [row] = hold_drift(connection, [(task, "1", 1)], 1)[task]
            save_drift(connection, [replace(row, blocks=row.blocks + 1)])

    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(count, range(20)):
            pass
    with database.reading() as connection:
        assert [row.blocks for row in read_drift(connection, task)] == [20]


def test_who_retrains_is_told_of_the_newest_drift(database: Database, task: str) -> None:
    def row(version: str, lead: int, raised_at: int | None) -> Drift:
        return Drift(task, version, lead, "{}", 1.0, 1, 1, 1, raised_at)

    rows = [row("1", 1, 500), row("1", 6, 700), row("1", 12, None), row("2", 1, 600)]
    with database.writing() as connection:
        save_drift(connection, rows)
    with database.reading() as connection:
        assert raised_since(connection, task, 0) == rows[1]
        assert raised_since(connection, task, 699) == rows[1]
        assert raised_since(connection, task, 700) is None
        assert raised_since(connection, task, 0, version="2") == rows[3]
        assert raised_since(connection, "another", 0) is None
        assert [r for r in read_drift(connection) if r.task == task] == rows
