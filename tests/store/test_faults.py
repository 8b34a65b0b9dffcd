from __future__ import annotations

import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from store.errors import SchemaError, StoreDownError
from store.faults import down, is_schema_fault


def sqlite_error(code: int) -> DBAPIError:
    error = sqlite3.OperationalError("secret")
    error.sqlite_errorcode = code
    return DBAPIError("SELECT secret", {}, error)


def told(error: DBAPIError, *, committing: bool = False) -> StoreDownError:
    found = down(error, committing=committing)
    assert isinstance(found, StoreDownError)
    return found


def postgres_error(state: str | None) -> DBAPIError:
    error = psycopg.errors.lookup(state)("secret") if state else psycopg.OperationalError("secret")
    return DBAPIError("SELECT secret", {}, error)


@pytest.mark.parametrize(
    ("code", "reason", "unknown"),
    [
        (sqlite3.SQLITE_BUSY, "locked", False),
        (sqlite3.SQLITE_FULL, "disk is full", False),
        (sqlite3.SQLITE_IOERR_FSYNC, "disk cannot be", True),
        (sqlite3.SQLITE_READONLY_DBMOVED, "read-only", True),
        (sqlite3.SQLITE_CORRUPT, "damaged", True),
        (sqlite3.SQLITE_NOMEM, "failed", True),
    ],
)
def test_what_sqlite_says_of_a_commit(code: int, reason: str, unknown: bool) -> None:
    error = told(sqlite_error(code), committing=True)
    assert reason in error.reason
    assert error.unknown == unknown
    assert not told(sqlite_error(code)).unknown
    assert "secret" not in error.reason


@pytest.mark.parametrize(
    ("state", "reason", "unknown"),
    [
        (None, "cannot be reached", True),
        ("08006", "cannot be reached", True),
        ("57P01", "stopping", True),
        ("57014", "too long", False),
        ("55P03", "locked", False),
        ("53100", "disk is full", False),
        ("53300", "no connection left", False),
        ("25006", "read-only", False),
        ("40P01", "gave up", False),
        ("28P01", "password", False),
        ("3D000", "no such database", False),
        ("22003", "failed", False),
    ],
)
def test_what_postgresql_says_of_a_commit(state: str | None, reason: str, unknown: bool) -> None:
    error = told(postgres_error(state), committing=True)
    assert reason in error.reason
    assert error.unknown == unknown
    assert not told(postgres_error(state)).unknown
    assert "secret" not in error.reason


def test_a_file_that_is_no_database_is_none_of_ours() -> None:
    assert isinstance(down(sqlite_error(sqlite3.SQLITE_NOTADB)), SchemaError)


def test_a_pool_that_is_used_up_is_told() -> None:
    assert "in use" in down(PoolTimeoutError("secret")).reason


def test_only_what_a_statement_names_is_a_fault_of_the_schema() -> None:
    assert is_schema_fault(sqlite_error(sqlite3.SQLITE_ERROR))
    assert is_schema_fault(postgres_error("42P01"))
    for error in (sqlite_error(sqlite3.SQLITE_FULL), postgres_error("53100"), postgres_error(None)):
        assert not is_schema_fault(error)
