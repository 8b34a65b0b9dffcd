"""What a database's driver complains of, in our words: pure, so that a table of cases tests it."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from store.errors import SchemaError, StoreDownError, StoreError

DriverError = (DBAPIError, PoolTimeoutError)
"""What SQLAlchemy raises for a database rather than for a mistake in our code."""

_SQLITE = {
    sqlite3.SQLITE_BUSY: "the database is locked by another process",
    sqlite3.SQLITE_LOCKED: "the database is locked by another process",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
    sqlite3.SQLITE_READONLY: "the database is read-only",
    sqlite3.SQLITE_PERM: "the database may not be opened",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
    sqlite3.SQLITE_ERROR: "the database refuses a statement: its schema may not be ours",
}
_KEPT_OUT = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}
"""After these a SQLite commit has certainly not happened."""

# Longer prefixes first: https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRES = (
    ("25006", "the database is read-only"),
    ("53100", "the disk is full"),
    ("53300", "the database has no connection left"),
    ("55P03", "the database's rows are locked for too long"),
    ("57014", "the database takes too long"),
    ("57P", "the database is stopping or starting"),
    ("40", "the database gave up a transaction that others were in the way of"),
    ("28", "the database does not accept our name or password"),
    ("3D", "there is no such database"),
    ("42", "the database refuses a statement: its schema may not be ours"),
    ("53", "the database is out of resources"),
    ("58", "the disk cannot be read or written"),
    ("XX", "the database is damaged"),
    ("08", "the database cannot be reached"),
)
_UNREACHABLE = "the database cannot be reached"


def down(error: Exception, *, committing: bool = False) -> StoreError:
    """The error to raise for a driver's. committing: it came while a commit was under way.

    A StoreDownError, but a SchemaError for a file that is no SQLite database at all.
    """
    if isinstance(error, PoolTimeoutError):
        return StoreDownError("every connection to the database is in use")
    original = error.orig if isinstance(error, DBAPIError) else error
    code: int | None = getattr(original, "sqlite_errorcode", None)
    if code is not None:
        primary = code & 0xFF  # the rest tells which call failed
        if primary == sqlite3.SQLITE_NOTADB:
            return SchemaError("the file is not a database")
        reason = _SQLITE.get(primary, "the database failed")
        return StoreDownError(reason, unknown=committing and primary not in _KEPT_OUT)
    state: str | None = getattr(original, "sqlstate", None)
    if state is None:  # no answer: psycopg knows nothing but that the connection is gone
        return StoreDownError(_UNREACHABLE, unknown=committing)
    told = next((said for start, said in _POSTGRES if state.startswith(start)), None)
    # A server that is shot down in the middle of a commit says so, and not whether it was done.
    gone = state.startswith(("57P", "08", "XX", "58"))
    return StoreDownError(told or "the database failed", unknown=committing and gone)


def is_schema_fault(error: Exception) -> bool:
    """Whether a statement was refused for what it names, rather than for the state of the disk."""
    original = error.orig if isinstance(error, DBAPIError) else error
    code: int | None = getattr(original, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF == sqlite3.SQLITE_ERROR
    state: str | None = getattr(original, "sqlstate", None)
    return state is not None and state.startswith("42")
