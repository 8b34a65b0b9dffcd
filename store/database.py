"""A database and its transactions: SQLite, which is embedded, or PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from store.errors import StoreDownError, StoreError
from store.faults import DriverError, down

BUSY_SECONDS = 5.0
"""How long a transaction waits for another's, or for a connection, before it gives up."""

_CACHE_KIB = 32 * 1024
_CHECKPOINT_PAGES = 4_000
"""The write-ahead log goes into the database every 16 MB: rarer than SQLite's 4 MB, since a page
that several commits changed is then written and synced once."""
_OLDEST_SQLITE = (3, 38)
"""The first that always has JSON and RETURNING."""

_POSTGRES_CONNECT = {
    "application_name": "gatecast",
    "connect_timeout": "5",
    # A server that vanished without a word is noticed in about 20 s rather than two hours.
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
_POSTGRES_SESSION = """
SELECT set_config('statement_timeout', '15s', false),
       set_config('lock_timeout', '5s', false),
       set_config('idle_in_transaction_session_timeout', '60s', false),
       set_config('TimeZone', 'UTC', false),
       CASE WHEN current_setting('synchronous_commit') = 'off'
            THEN set_config('synchronous_commit', 'on', false) END
"""
"""Session settings. An acknowledged observation is on disk, whatever the role's default says."""


class Database:
    """An engine and its two kinds of transaction. Safe to share between threads.

    dialect: `sqlite` or `postgresql`. A transaction inside another of the same thread is a mistake:
    on SQLite it waits for the outer one.
    """

    def __init__(self, engine: Engine, *, memory: bool = False) -> None:
        self.engine = engine
        self.dialect = engine.dialect.name
        self._memory = memory

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One snapshot: every read sees the database as the first one did.

        Raises StoreDownError for whatever the driver says.
        """
        options: dict[str, Any] = {"sqlite_begin": "BEGIN"}
        if self.dialect == "postgresql":
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._transaction(options) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed, durably, at the end of the block, or rolled back.

        SQLite: the only writer, from the start. PostgreSQL: each statement sees what was committed
        before it began. Raises StoreDownError for whatever the driver says.
        """
        with self._transaction({"sqlite_begin": "BEGIN IMMEDIATE"}) as connection:
            yield connection

    @contextmanager
    def _transaction(self, options: dict[str, Any]) -> Iterator[Connection]:
        committing = False
        try:
            with self.engine.connect() as plain:
                connection = plain.execution_options(**options)
                try:
                    with connection.begin() as transaction:
                        yield connection
                        committing = True
                        transaction.commit()
                except DBAPIError:
                    self._discard(connection)
                    raise
        except DriverError as error:
            raise down(error, committing=committing) from None

    def _discard(self, connection: Connection) -> None:
        """Never use a connection again that failed: after a failed sync it may show what is not so.

        https://www.sqlite.org/atomiccommit.html, and PostgreSQL's own panic on a failed fsync.
        """
        if self._memory:  # which would be lost with its connection
            return
        connection.invalidate()
        if self.dialect == "sqlite":  # the pool's others share the failed one's view of the log
            self.engine.dispose()


def open_database(url: str) -> Database:
    """Open `sqlite:///path`, `sqlite://` (in memory, for as long as it is open) or `postgresql://…`.

    Makes the folder of a SQLite file. Nothing is asked of a PostgreSQL server yet. Raises
    StoreError for another kind of URL, StoreDownError where the folder cannot be made.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError("no such database URL: expected sqlite:/// or postgresql://") from None
    kind = parsed.drivername.partition("+")[0]
    if kind == "sqlite":
        return _sqlite(parsed.set(drivername="sqlite+pysqlite"))
    if kind in ("postgresql", "postgres"):
        return _postgres(parsed.set(drivername="postgresql+psycopg"))
    raise StoreError("the store is kept in SQLite or PostgreSQL, not in another database")


def folder(database: Database) -> Path | None:
    """Where a SQLite file lies; None in memory and for PostgreSQL."""
    name = database.engine.url.database
    if database.dialect != "sqlite" or name in (None, "", ":memory:"):
        return None
    return Path(name).absolute().parent


def _sqlite(url: URL) -> Database:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreError("SQLite is too old: 3.38 is the oldest that works")
    memory = url.database in (None, "", ":memory:")
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=1 if memory else 8,  # in memory, threads take turns at the one connection
        max_overflow=0 if memory else 8,
        pool_timeout=BUSY_SECONDS,
        connect_args={"check_same_thread": False},
    )
    database = Database(engine, memory=memory)
    place = folder(database)
    if place is not None:
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError:
            raise StoreDownError("the database's folder cannot be made") from None
    event.listen(database.engine, "connect", _prepare_sqlite)
    event.listen(database.engine, "begin", _begin_sqlite)
    return database


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: Python would say it late
    for pragma in (
        f"busy_timeout = {int(BUSY_SECONDS * 1000)}",
        "journal_mode = WAL",
        "synchronous = FULL",  # NORMAL may take back what was acknowledged, on loss of power
        "foreign_keys = ON",
        f"cache_size = -{_CACHE_KIB}",
        f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


def _postgres(url: URL) -> Database:
    defaults = {name: said for name, said in _POSTGRES_CONNECT.items() if name not in url.query}
    try:
        engine = create_engine(
            url.update_query_dict(defaults),
            isolation_level="READ COMMITTED",
            pool_size=8,
            max_overflow=8,
            pool_timeout=BUSY_SECONDS,
            pool_pre_ping=True,  # a restarted server is met by new connections, not by errors
        )
    except ModuleNotFoundError:
        raise StoreError("PostgreSQL needs psycopg: pip install 'gatecast[postgres]'") from None
    event.listen(engine, "connect", _prepare_postgres)
    event.listen(engine, "checkin", _forget_mode)
    return Database(engine)


def _prepare_postgres(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_POSTGRES_SESSION)
    connection.commit()


def _forget_mode(connection: Any, _record: object) -> None:
    """After a snapshot SQLAlchemy would say READ WRITE, even where the server says read-only."""
    if connection is not None:
        connection.read_only = None
