from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import store.migrate
from store.database import Database, folder, open_database
from store.errors import SchemaError, StoreDownError
from store.migrate import migrate
from store.tables import VERSION_TABLE, metadata
from tests.store.databases import opened


def shape(url: str) -> list[Any]:
    """Tables and columns, and what the version table holds."""
    database = open_database(url)
    with database.reading() as connection:
        inspector = sa.inspect(connection)
        names = sorted(inspector.get_table_names())
        found: list[Any] = [(n, [str(c) for c in inspector.get_columns(n)]) for n in names]
        if VERSION_TABLE in names:
            found += connection.exec_driver_sql(f"SELECT * FROM {VERSION_TABLE}").all()  # noqa: S608
    database.close()
    return found


def run(url: str, *statements: str) -> None:
    database = open_database(url)
    with database.writing() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    database.close()


def test_migrations_make_the_tables_that_the_code_knows(url: str) -> None:
    migrate(url)
    database = open_database(url)
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    database.close()


def test_on_sqlite_they_are_the_same_to_the_letter(tmp_path: Path) -> None:
    migrated, created = (f"sqlite:///{tmp_path}/{name}.db" for name in ("migrated", "created"))
    migrate(migrated)
    database = open_database(created)
    with database.writing() as connection:
        metadata.create_all(connection)
    database.close()
    said = []
    for name in ("migrated", "created"):
        file = sqlite3.connect(tmp_path / f"{name}.db")
        rows = file.execute(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name != ? ORDER BY name",
            [VERSION_TABLE],
        )
        said.append([" ".join(sql.split()) for (sql,) in rows])
        file.close()
    assert said[0] == said[1]
    assert any("WITHOUT ROWID" in sql for sql in said[0])


def test_a_second_time_changes_nothing(url: str) -> None:
    migrate(url)
    before = shape(url)
    migrate(url)
    assert shape(url) == before


def test_tables_of_others_are_left_alone(url: str) -> None:
    # MLflow's tables may live in the same database, and so its version table.
    run(url, "CREATE TABLE alembic_version (version_num VARCHAR(32))", "CREATE TABLE runs (a INT)")
    migrate(url)
    migrate(url)
    names = [each[0] for each in shape(url)]
    assert {"alembic_version", "runs", "streams", "observations", "checkpoints"} <= {*names}


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_a_table_that_another_made_is_not_touched(url: str, table: str) -> None:
    run(url, f"CREATE TABLE {table} (a INT)")
    before = shape(url)
    with pytest.raises(SchemaError, match=table):
        migrate(url)
    assert shape(url) == before


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE {VERSION_TABLE} SET version_num = '9999'",  # noqa: S608
        f"INSERT INTO {VERSION_TABLE} VALUES ('0000')",  # noqa: S608
        "ALTER TABLE streams ADD COLUMN more INTEGER",
        "ALTER TABLE observations RENAME COLUMN y TO z",
        "DROP TABLE checkpoints",
        f"DROP TABLE {VERSION_TABLE}",
    ],
)
def test_a_schema_that_is_newer_or_half_made_is_not_touched(url: str, change: str) -> None:
    migrate(url)
    run(url, change)
    before = shape(url)
    with pytest.raises(SchemaError):
        migrate(url)
    assert shape(url) == before


def test_a_table_with_another_key_is_not_ours(url: str) -> None:
    migrate(url)
    run(
        url,
        "ALTER TABLE checkpoints RENAME TO old",
        "CREATE TABLE checkpoints AS SELECT * FROM old",
        "DROP TABLE old",
    )
    with pytest.raises(SchemaError, match="shape"):
        migrate(url)


@pytest.mark.parametrize("fault", ["op.execute('SELECT * FROM nowhere')", "raise SystemError"])
def test_a_migration_that_fails_is_undone(
    url: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(url)
    before = shape(url)
    room = tmp_path / "100% room"
    shutil.copytree(Path(store.migrate.__file__).parent / "migrations", room / "migrations")
    versions = room / "migrations" / "versions"
    newest = max(file.name for file in versions.glob("0*.py"))[:4]
    (versions / "9999_more.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision = '9999', '{newest}'\n"
        "def upgrade():\n"
        "    op.create_table('more', sa.Column('id', sa.Integer, primary_key=True))\n"
        f"    {fault}\n"
    )
    monkeypatch.setattr(store.migrate, "__file__", str(room / "migrate.py"))
    with pytest.raises((SchemaError, SystemError)):
        migrate(url)
    assert shape(url) == before


def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "gatecast.db"
    path.write_bytes(b"a letter to a friend " * 100)
    with pytest.raises(SchemaError, match="not a database"):
        migrate(f"sqlite:///{path}")
    assert path.read_bytes() == b"a letter to a friend " * 100


@pytest.mark.slow
def test_many_processes_migrate_one_empty_database_at_once(url: str) -> None:
    code = "import sys; from store.migrate import migrate; migrate(sys.argv[1])"
    running = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code, url], stderr=subprocess.PIPE)
        for _ in range(20)
    ]
    for process in running:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()
    database = open_database(url)
    opened(database, 1)
    database.close()


def test_who_waits_too_long_for_another_that_migrates_is_told(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store.migrate, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(store.migrate, "_take_lock", _give_up)
    if url.startswith("sqlite"):
        database = open_database(url)
        with store.migrate._alone(folder(database)), pytest.raises(StoreDownError):
            migrate(url)
        database.close()
    else:
        with pytest.raises(StoreDownError, match="locked"):
            migrate(url)


def _give_up(connection: sa.Connection) -> None:
    """The wait for PostgreSQL's lock, cut to a moment, while another connection holds it."""
    database = Database(connection.engine)
    with database.writing() as other:
        other.exec_driver_sql(f"SELECT pg_advisory_xact_lock({store.migrate._LOCK})")
        connection.exec_driver_sql("SELECT set_config('lock_timeout', '50ms', true)")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({store.migrate._LOCK})")
