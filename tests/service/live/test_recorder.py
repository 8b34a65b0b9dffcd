"""Scores on their way to the store, and drift that they raise."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import Connection

from service.live import recorder
from service.live.measure import Measured
from service.live.recorder import Recorder, record
from service.live.tally import Tally
from service.streams.keeper import Keeper
from store.database import Database
from store.drift import Drift, read_drift
from store.errors import StoreDownError
from store.scores import HOUR, read_scores
from tests.service.streams.replicas import opened, store

RANDOM = np.random.default_rng(5)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    with store(request.param, tmp_path_factory.mktemp("store")) as url, opened(url) as made:
        yield made


@pytest.fixture
def task() -> str:
    return uuid4().hex


def measured(*losses: float) -> Measured:
    values = np.array(losses)
    return Measured(2 * values, 4 * values**2, values, np.ones(len(losses)), np.full(3, np.nan))


def test_sums_are_written_by_hour_version_and_lead(database: Database, task: str) -> None:
    async def work() -> None:
        tally, keeper = Tally(), Keeper(database)
        made = Recorder(tally, keeper)
        tally.add((task, "1", 1), measured(0.5, 1.0, 1.5), 10 * HOUR + 5, np.array([7, 7, 8]))
        tally.add((task, "1", 6), measured(2.0, 2.0, 2.0), 10 * HOUR + 9, None)
        await made.write()
        tally.add((task, "1", 1), measured(0.5, 1.0, 1.5), 11 * HOUR, np.array([8, 8, 8]))
        await made.write()
        await made.write()  # nothing is left
        await keeper.close()

    asyncio.run(work())
    with database.reading() as connection:
        rows = read_scores(connection, task)
        [test] = read_drift(connection, task)
    found = [(row.bucket, row.lead, row.scored, row.quantile_loss) for row in rows]
    assert found == [(11 * HOUR, 1, 3, 3.0), (10 * HOUR, 1, 3, 3.0), (10 * HOUR, 6, 3, 6.0)]
    assert (rows[0].scaled_error, rows[0].covered_80, rows[0].covered_95) == (6.0, 3.0, None)
    assert (test.lead, test.version, test.raised_at) == (1, "1", None)


@contextmanager
def down(monkeypatch: pytest.MonkeyPatch, *, unknown: bool) -> Iterator[None]:
    def fail(connection: Connection, *_: object) -> list[Drift]:
        if unknown:  # done, and nobody hears of it
            connection.commit()
        raise StoreDownError("down", unknown=unknown)

    with monkeypatch.context() as patch:
        patch.setattr(recorder, "record", fail)
        yield


@pytest.mark.parametrize("unknown", [False, True])
def test_what_the_store_did_not_take_waits_but_never_counts_twice(
    database: Database, task: str, monkeypatch: pytest.MonkeyPatch, unknown: bool
) -> None:
    async def work() -> None:
        tally, keeper = Tally(), Keeper(database)
        made = Recorder(tally, keeper)
        tally.add((task, "1", 1), measured(0.5, 1.0, 1.5), 0, np.array([7, 7, 8]))
        with down(monkeypatch, unknown=unknown):
            await made.write()
        tally.add((task, "1", 1), measured(0.5, 1.0, 1.5), 0, np.array([7, 7, 8]))
        await made.write()
        await keeper.close()

    asyncio.run(work())
    with database.reading() as connection:
        [row] = read_scores(connection, task)
    assert row.scored == (3 if unknown else 6)


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.live.tally._MOST_KEPT", 5)
    tally = Tally()
    for hour in range(20):
        tally.add(("a", "1", 1), measured(1.0, 1.0, 1.0), hour * HOUR, np.full(3, hour))
        tally.put_back(tally.take())
    batch = tally.take()
    assert [bucket // HOUR for _, _, _, bucket in batch.sums] == [15, 16, 17, 18, 19]
    assert [block for _, _, _, block in batch.blocks] == [15, 16, 17, 18, 19]


def fed(database: Database, place: tuple[str, str, int], level: float, blocks: range) -> Drift:
    """The test after blocks of 20 scores of about such a loss, each written by itself."""
    tests: list[Drift] = []
    for block in blocks:
        tally = Tally()
        losses = level * np.exp(0.3 * RANDOM.standard_normal(20))
        ones = np.ones(20)
        each = Measured(losses, losses, losses, ones, ones)
        tally.add(place, each, block * HOUR, np.full(20, block))
        with database.writing() as connection:
            tests = record(connection, tally.take(), block * HOUR)
    return tests[0]


def test_drift_is_raised_by_losses_that_grow_and_not_before(database: Database, task: str) -> None:
    assert fed(database, (task, "1", 1), 1.0, range(40)).raised_at is None
    test = fed(database, (task, "1", 1), 2.0, range(40, 60))
    assert test.raised_at is not None
    assert 40 * HOUR < test.raised_at < 60 * HOUR
    later = fed(database, (task, "1", 1), 0.5, range(60, 62))
    assert later.raised_at == test.raised_at  # until another version serves


def test_a_version_that_serves_begins_its_own_test(database: Database, task: str) -> None:
    fed(database, (task, "1", 1), 1.0, range(40))
    assert fed(database, (task, "1", 1), 2.0, range(40, 60)).raised_at is not None
    new = fed(database, (task, "2", 1), 3.0, range(60, 80))
    assert (new.raised_at, new.began) == (None, 60 * HOUR)
    back = fed(database, (task, "1", 1), 2.0, range(80, 90))
    assert (back.raised_at, back.began, back.blocks) == (None, 80 * HOUR, 9)


def test_a_store_that_is_down_is_no_fault_of_anyone(tmp_path: Path, task: str) -> None:
    async def work() -> None:
        with store("sqlite", tmp_path) as url, opened(url) as made:
            tally, keeper = Tally(), Keeper(made)
            writer = Recorder(tally, keeper)
            with made.writing() as connection:
                connection.exec_driver_sql("ALTER TABLE scores RENAME TO gone")
            tally.add((task, "1", 1), measured(0.5, 1.0, 1.5), 0, None)
            await writer.write()
            with made.writing() as connection:
                connection.exec_driver_sql("ALTER TABLE gone RENAME TO scores")
            await writer.write()
            with made.reading() as connection:
                assert [row.scored for row in read_scores(connection, task)] == [3]
            await keeper.close()

    asyncio.run(work())
