from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from store.append import Append, append
from store.database import Database, open_database
from store.errors import StoreDownError, StoreError
from store.log import tails
from store.migrate import migrate
from tests.store.databases import empty, opened, server, touch


def setting(database: Database, query: str) -> object:
    with database.reading() as connection:
        return connection.exec_driver_sql(query).scalar_one()


def test_the_folder_of_a_file_is_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a/b/gatecast.db"
    migrate(url)
    assert (tmp_path / "a" / "b" / "gatecast.db").is_file()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreDownError, match="folder cannot be made"):
        open_database(f"sqlite:///{tmp_path}/file/gatecast.db")


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "gatecast.db").mkdir()
    with pytest.raises(StoreDownError, match="cannot be opened"):
        migrate(f"sqlite:///{tmp_path}/gatecast.db")


@pytest.mark.parametrize("url", ["", "gatecast.db", "mysql://user:pw@host/db", "postgresql"])
def test_other_urls_are_refused_without_being_shown(url: str) -> None:
    with pytest.raises(StoreError) as raised:
        open_database(url)
    assert "pw" not in raised.value.reason


def test_sqlite_syncs_every_commit(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/gatecast.db")
    assert setting(database, "PRAGMA journal_mode") == "wal"
    assert setting(database, "PRAGMA synchronous") == 2
    assert setting(database, "PRAGMA foreign_keys") == 1
    database.close()


def test_postgresql_syncs_every_commit_whatever_the_role_says(tmp_path: Path) -> None:
    with empty("postgresql", tmp_path) as url:
        off = url + "%20-csynchronous_commit%3Doff"
        database = open_database(off)
        assert setting(database, "SHOW synchronous_commit") == "on"
        assert setting(database, "SHOW application_name") == "gatecast"
        assert setting(database, "SHOW lock_timeout") == "5s"
        database.close()
        database = open_database(url + "%20-csynchronous_commit%3Dremote_apply")
        assert setting(database, "SHOW synchronous_commit") == "remote_apply"
        database.close()


def test_what_fails_in_a_block_is_undone_and_raised_as_it_is(database: Database) -> None:
    (stream,) = opened(database, 1)
    with pytest.raises(ZeroDivisionError), database.writing() as connection:  # noqa: PT012
        touch(connection, stream)
        raise ZeroDivisionError
    with database.reading() as connection:
        assert tails(connection, [stream])[stream].late_seq == 0


def test_what_the_driver_says_becomes_an_error_of_ours(database: Database) -> None:
    with pytest.raises(StoreDownError, match="schema") as raised, database.reading() as connection:
        connection.exec_driver_sql("SELECT secret FROM nowhere")
    assert "secret" not in raised.value.reason
    assert not raised.value.unknown
    assert setting(database, "SELECT 1") == 1


def test_an_observation_needs_its_stream(database: Database) -> None:
    with pytest.raises(StoreDownError), database.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO observations (stream, ds, seq, received) VALUES (1000000000, 1, 1, 1)"
        )


def test_a_database_in_memory_is_gone_when_it_is_closed() -> None:
    database = open_database("sqlite://")
    migrate(database)
    (stream,) = opened(database, 1)
    assert append(database, [Append(stream, 0, 0, [1], [1.0])], 1) == frozenset()
    with pytest.raises(StoreDownError), database.reading() as connection:
        connection.exec_driver_sql("SELECT * FROM nowhere")
    with database.reading() as connection:  # an error does not lose it
        assert tails(connection, [stream])[stream].seq == 1
    database.close()
    with pytest.raises(StoreDownError, match="schema"):
        opened(database, 1)


def test_a_server_that_is_not_there_is_told_soon() -> None:
    server()
    database = open_database("postgresql://user:pw@127.0.0.1:1/db")
    with pytest.raises(StoreDownError, match="cannot be reached") as raised:
        opened(database, 1)
    assert not raised.value.unknown
    assert "pw" not in str(raised.value)


def test_parameters_of_the_url_are_kept(tmp_path: Path) -> None:
    with empty("postgresql", tmp_path) as url:
        database = open_database(f"{url}&application_name=other")
        assert setting(database, "SHOW application_name") == "other"
        database.close()


def test_the_repr_of_the_engine_hides_the_password() -> None:
    database = open_database("postgresql://user:pw@127.0.0.1:1/db")
    assert "pw" not in repr(database.engine)
    assert isinstance(database.engine, sa.Engine)
