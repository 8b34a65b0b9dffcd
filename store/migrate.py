"""Bring a database's schema up to date, once, however many processes ask for it at once."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError

from store.database import Database, folder, open_database
from store.errors import SchemaError, StoreDownError
from store.faults import is_schema_fault
from store.tables import VERSION_TABLE, metadata

WAIT_SECONDS = 60.0
"""How long a process waits while another migrates."""

_LOCK = 0x67617465_63617374
"""PostgreSQL's advisory lock that only we take: "gatecast" in ASCII."""


def migrate(target: str | Database) -> None:
    """Bring the schema up to date. Nothing is changed where it is, or where it is not ours.

    target: a URL, or a database that is open, as one in memory must be. The whole change is one
    transaction. Raises SchemaError for a schema that is newer, half made or another's, and
    StoreDownError where the database cannot be had or another process migrates for too long.
    """
    if isinstance(target, Database):
        _migrate(target)
        return
    opened(target).close()


def opened(url: str) -> Database:
    """The database of a URL, its schema brought up to date. Raises as `migrate`."""
    database = open_database(url)
    try:
        _migrate(database)
    except BaseException:
        database.close()
        raise
    return database


def _migrate(database: Database) -> None:
    # A new file's first connection switches it to WAL, which two may not do at once.
    with _alone(folder(database)), database.writing() as connection:
        try:
            if database.dialect == "postgresql":
                _take_lock(connection)
            _upgrade(connection)
        except CommandError:
            raise SchemaError("the migrations of this program do not fit the database") from None
        except DBAPIError as error:
            if is_schema_fault(error):
                reason = "a migration failed and was undone: the schema is not ours"
                raise SchemaError(reason) from None
            raise


def _upgrade(connection: Connection) -> None:
    config = Config()
    scripts = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    heads = context.get_current_heads()
    known = {revision.revision for revision in script.walk_revisions()}
    if len(heads) > 1 or not known.issuperset(heads):
        raise SchemaError("the database's schema is newer than this program, or another's")
    there = set(inspect(connection).get_table_names()) & metadata.tables.keys()
    if not heads and there:
        raise SchemaError(f"the database has a table {min(there)!r} that we did not make")
    if heads != (script.get_current_head(),):
        command.upgrade(config, "head")
    _compare(connection)


def _compare(connection: Connection) -> None:
    """Raise SchemaError where our tables are not as `store.tables` has them."""
    options = {
        "version_table": VERSION_TABLE,
        "include_name": lambda name, kind, _: kind != "table" or name in metadata.tables,
    }
    context = MigrationContext.configure(connection, opts=options)
    inspector = inspect(connection)
    different = bool(compare_metadata(context, metadata))
    for name, table in metadata.tables.items():
        if different:
            break
        key = inspector.get_pk_constraint(name)["constrained_columns"]  # Alembic compares no keys
        different = key != [column.name for column in table.primary_key]
    if different:
        raise SchemaError("the database's tables have another shape than this program's")


def _take_lock(connection: Connection) -> None:
    connection.exec_driver_sql(
        f"SELECT set_config('lock_timeout', '{WAIT_SECONDS:.0f}s', true),"
        " set_config('statement_timeout', '0', true)"
    )
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


@contextmanager
def _alone(place: Path | None) -> Iterator[None]:
    """Hold a lock on the folder of a SQLite file, which leaves no lock file behind."""
    if place is None:
        yield
        return
    handle = os.open(place, os.O_RDONLY)
    try:
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreDownError("another process migrates the database") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)
