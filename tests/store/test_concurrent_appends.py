"""Writers that know nothing of each other lose nothing and double nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier

import pytest

from store.append import Append, append
from store.database import open_database
from store.errors import StoreDownError
from store.log import rows_after, tails
from store.migrate import migrate
from tests.store.databases import empty, opened

EACH = 40
STREAMS = 4


def write(url: str, ids: Sequence[int], writer: int, writers: int, barrier: Barrier) -> int:
    """Append EACH rows to every stream, a few at a time, each with a stamp of this writer's own.

    All read the tails before any writes for the first time, so that they are in each other's way.
    Returns how often a log had moved on.
    """
    database = open_database(url)
    chance = random.Random(writer)  # noqa: S311
    left = {stream: [writer + writers * step for step in range(EACH)] for stream in ids}
    retries = 0
    first = True
    while any(left.values()):
        with database.reading() as connection:
            now = tails(connection, ids)
        if first:
            barrier.wait(60)
            first = False
        batch = []
        for stream in chance.sample(list(ids), len(ids)):
            ds = left[stream][: chance.randint(1, 5)]
            newest = now[stream].ds
            late = [each for each in ds if newest is not None and each < newest]
            seqs = now[stream].seq, now[stream].late_seq
            y = [float(each) for each in ds]
            batch.append(Append(stream, *seqs, ds, y, first_late=min(late, default=None)))
        moved = append(database, batch, writer)
        retries += len(moved)
        for each in batch:
            if each.stream not in moved:
                left[each.stream] = left[each.stream][len(each.ds) :]
    database.close()
    return retries


def race(url: str, pool: Executor, writers: int, barrier: Barrier) -> None:
    migrate(url)
    database = open_database(url)
    ids = opened(database, STREAMS)
    done = [pool.submit(write, url, ids, writer, writers, barrier) for writer in range(writers)]
    assert sum(each.result() for each in done) >= STREAMS * (writers - 1)
    with database.reading() as connection:
        logs = rows_after(connection, dict.fromkeys(ids))
    database.close()
    for rows in logs.values():
        assert rows.ds.tolist() == list(range(EACH * writers))
        assert rows.y.tolist() == rows.ds.tolist()
        assert sorted(rows.seq.tolist()) == list(range(1, EACH * writers + 1))


def test_threads_with_databases_of_their_own_write_each_row_once(url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        race(url, pool, 8, Barrier(8))


@pytest.mark.slow
def test_processes_write_each_row_once(url: str) -> None:
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(4, mp_context=context) as pool:
        race(url, pool, 4, manager.Barrier(4))


def test_batches_in_opposite_orders_do_not_wait_for_each_other(url: str) -> None:
    migrate(url)
    database = open_database(url)
    ids = opened(database, 50)

    def turn(number: int) -> None:
        order = ids if number % 2 else ids[::-1]
        with database.reading() as connection:
            now = tails(connection, ids)
        batch = [Append(each, now[each].seq, 0, [(now[each].ds or 0) + 1], [1.0]) for each in order]
        append(database, batch, 1)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(turn, range(60)))
    database.close()


def test_a_reader_sees_one_moment(url: str) -> None:
    migrate(url)
    database = open_database(url)
    (stream,) = opened(database, 1)
    append(database, [Append(stream, 0, 0, [1], [1.0])], 1)
    with database.reading() as connection:
        before = tails(connection, [stream])
        with ThreadPoolExecutor(1) as pool:
            pool.submit(append, database, [Append(stream, 1, 0, [2], [2.0])], 2).result()
        assert tails(connection, [stream]) == before
        assert len(rows_after(connection, {stream: None})[stream]) == 1
    database.close()


def test_threads_take_turns_in_memory() -> None:
    database = open_database("sqlite://")
    migrate(database)
    ids = opened(database, 8)

    def fill(stream: int) -> None:
        for seq in range(30):
            assert not append(database, [Append(stream, seq, 0, [seq], [1.0])], 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fill, ids))
    with database.reading() as connection:
        assert {tail.seq for tail in tails(connection, ids).values()} == {30}
    database.close()


def test_who_waits_for_a_writer_too_long_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.database.BUSY_SECONDS", 0.1)
    with empty("sqlite", tmp_path) as url:
        migrate(url)
        one, other = open_database(url), open_database(url)
        (stream,) = opened(one, 1)
        with one.writing():
            with pytest.raises(StoreDownError, match="locked") as raised:
                append(other, [Append(stream, 0, 0, [1], [1.0])], 1)
            assert not raised.value.unknown
            assert append(other, [Append(stream, 0, 0)], 1) == frozenset()  # a reader never waits
        assert append(other, [Append(stream, 0, 0, [1], [1.0])], 1) == frozenset()
        for each in (one, other):
            each.close()
