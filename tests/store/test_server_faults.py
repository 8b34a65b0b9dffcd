"""A PostgreSQL that ends connections, refuses to write, or is locked by others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from store.append import Append, append
from store.database import Database, open_database
from store.errors import StoreDownError
from store.log import rows_after, tails
from store.migrate import migrate
from tests.store.databases import empty, opened, touch


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with empty("postgresql", tmp_path) as found:
        migrate(found)
        yield f"{found}&application_name={tmp_path.name}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = open_database(url)
    yield database
    database.close()


@pytest.fixture
def outsider(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True, application_name="outsider") as connection:
        yield connection


def terminate(outsider: psycopg.Connection, name: str) -> int:
    """End every connection of the database under test; how many they were."""
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
    return len(outsider.execute(query, [name]).fetchall())


def test_connections_that_ended_between_two_calls_are_not_noticed(
    database: Database, outsider: psycopg.Connection, tmp_path: Path
) -> None:
    (stream,) = opened(database, 1)
    for seq in range(5):
        assert terminate(outsider, tmp_path.name) >= 1
        assert append(database, [Append(stream, seq, 0, [seq], [1.0])], 1) == frozenset()


def test_a_connection_that_ends_within_a_transaction_undoes_it(
    database: Database, outsider: psycopg.Connection, tmp_path: Path
) -> None:
    (stream,) = opened(database, 1)
    with pytest.raises(StoreDownError) as raised, database.writing() as connection:  # noqa: PT012
        touch(connection, stream)
        terminate(outsider, tmp_path.name)
        connection.exec_driver_sql("SELECT 1")
    assert not raised.value.unknown
    with database.reading() as connection:
        assert tails(connection, [stream])[stream].late_seq == 0


def test_a_connection_that_ends_at_the_commit_leaves_it_unknown(
    database: Database, outsider: psycopg.Connection, tmp_path: Path
) -> None:
    (stream,) = opened(database, 1)
    with pytest.raises(StoreDownError) as raised, database.writing() as connection:  # noqa: PT012
        touch(connection, stream)
        terminate(outsider, tmp_path.name)
    assert raised.value.unknown
    with database.reading() as connection:
        assert tails(connection, [stream])[stream].late_seq == 0


@pytest.mark.slow
def test_whatever_is_terminated_every_acknowledged_row_is_there_once(
    database: Database, outsider: psycopg.Connection, tmp_path: Path
) -> None:
    (stream,) = opened(database, 1)
    ended = threading.Event()

    def keep_terminating() -> None:
        while not ended.wait(0.007):
            terminate(outsider, tmp_path.name)

    nuisance = threading.Thread(target=keep_terminating)
    nuisance.start()
    acknowledged: set[int] = set()
    failures = 0
    try:
        ds = 0
        while ds < 600 or (failures < 10 and ds < 6_000):
            try:
                with database.reading() as connection:
                    tail = tails(connection, [stream])[stream]
                if tail.ds == ds:  # a commit of which nothing was heard had happened
                    ds += 1
                    continue
                assert not append(database, [Append(stream, tail.seq, 0, [ds], [1.0])], 1)
            except StoreDownError:
                failures += 1
                continue
            acknowledged.add(ds)
            ds += 1
    finally:
        ended.set()
        nuisance.join()
    assert failures
    with database.reading() as connection:
        rows = rows_after(connection, {stream: None})[stream]
    assert rows.ds.tolist() == list(range(ds))
    assert rows.seq.tolist() == list(range(1, ds + 1))
    assert acknowledged <= {*rows.ds.tolist()}


def test_a_read_only_server_is_told_and_may_be_read(database: Database, url: str) -> None:
    (stream,) = opened(database, 1)
    closed = open_database(
        url.replace("search_path", "default_transaction_read_only%3Don%20-csearch_path")
    )
    with pytest.raises(StoreDownError, match="read-only") as raised:
        append(closed, [Append(stream, 0, 0, [1], [1.0])], 1)
    assert not raised.value.unknown
    assert append(closed, [Append(stream, 0, 0)], 1) == frozenset()
    closed.close()


def test_rows_that_others_lock_for_too_long_are_told(
    database: Database, outsider: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "store.database._POSTGRES_SESSION", "SELECT set_config('lock_timeout', '50ms', false)"
    )
    a, b = opened(database, 2)
    database.engine.dispose()
    with outsider.transaction():
        outsider.execute("SELECT 1 FROM streams WHERE id = %s FOR UPDATE", [a])
        with pytest.raises(StoreDownError, match="locked"):
            append(database, [Append(a, 0, 0, [1], [1.0]), Append(b, 0, 0, [1], [1.0])], 1)
        assert append(database, [Append(b, 0, 0, [1], [1.0])], 1) == frozenset()
    assert append(database, [Append(a, 0, 0, [1], [1.0])], 1) == frozenset()
