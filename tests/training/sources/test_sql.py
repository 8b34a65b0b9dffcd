"""Databases: asked within one read-only transaction, and never shown with their password."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote_plus
from uuid import uuid4

import polars as pl
import pytest
import sqlalchemy as sa

from training.sources import DataError, SourceError, digest, load, load_frame, sql

_ROWS = pl.DataFrame(
    {
        "unique_id": ["a", "a", "b"],
        "ds": ["2024-01-01", "2024-01-02", "2024-01-02"],
        "y": [1.5, 2.0, None],
        "x": [1, 0, 1],
    }
)


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "a b.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE load (unique_id, ds, y, x)")
        connection.executemany("INSERT INTO load VALUES (?, ?, ?, ?)", _ROWS.rows())
        connection.commit()
    return f"sqlite:///{path}"


_QUERY = "SELECT * FROM load WHERE unique_id LIKE 'a%' AND 1 & 1 -- ?&%"


@pytest.mark.parametrize("way", ["beside", "encoded", "as it is", "with a semicolon"])
def test_a_query_is_given_in_any_of_these_ways(database: str, way: str) -> None:
    if way == "beside":
        panel = load(database, query=_QUERY)
    elif way == "encoded":
        panel = load(f"{database}?query={quote_plus(_QUERY)}")
    elif way == "as it is":
        panel = load(f"{database}?query={_QUERY}")
    else:
        panel = load(database, query=f"{_QUERY.partition(' --')[0]} ;\n")
    assert [s.y.tolist() for s in panel.series] == [[1.5, 2.0]]


def test_parameters_of_the_connection_are_kept() -> None:
    question = sql.read_url(
        "postgres://me:secret@db.example:5433/sales?connect_timeout=3&query=SELECT%201&sslmode=off"
    )
    assert question.query == "SELECT 1"
    assert question.url.drivername == "postgresql+psycopg"
    assert dict(question.url.query) == {"connect_timeout": "3", "sslmode": "off"}
    assert "secret" not in repr(question)


def test_a_type_that_changes_from_row_to_row_is_read(database: str) -> None:
    query = "SELECT 1 AS ds, 1 AS y UNION ALL SELECT 2, 2.5 UNION ALL SELECT 3, '4'"
    assert load(database, query=query).series[0].y.tolist() == [1, 2.5, 4]
    with pytest.raises(DataError, match="series 'series', row 3, column 'y': 'four' is no number"):
        load(database, query=query.replace("'4'", "'four'"))


def test_batches_make_one_table(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    query = (
        "WITH RECURSIVE n(ds) AS (SELECT 1 UNION ALL SELECT ds + 1 FROM n WHERE ds < 1000) "
        "SELECT ds, CASE WHEN ds > 8 THEN ds * 0.5 END AS y FROM n"
    )
    whole = digest(load(database, query=query))
    monkeypatch.setattr(sql, "_BATCH", 7)  # the first batch is all NULL, and has no type
    assert digest(load(database, query=query)) == whole


def test_a_database_is_only_read(database: str) -> None:
    for query in ("DELETE FROM load", "INSERT INTO load SELECT * FROM load RETURNING *"):
        with pytest.raises(SourceError, match="attempt to write a readonly database"):
            load(database, query=query)
    assert len(load(database, query=_QUERY).series[0]) == 2


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "has not been asked anything: add ?query= with a SELECT to the URL"),
        ("SELECT absent FROM load", "does not answer the query: no such column: absent"),
        ("SELECT * FROM load WHERE 1 = 0", "yields no rows"),
        ("SELECT 1 AS ds, 2 AS ds, 3 AS y", "the query yields two columns 'ds'"),
        ("SELECT 1; SELECT 2", "does not answer the query: You can only execute one statement"),
        ("SELECT 1 AS a", "no column 'ds', 'y': the source has 'a'"),
        ("SELECT x'00' AS ds, 1 AS y", "is of type Binary: times or whole numbers are expected"),
    ],
)
def test_a_query_that_is_not_answered_is_said(database: str, query: str, reason: str) -> None:
    with pytest.raises(SourceError) as raised:
        load(database, query=query)
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("sqlite:///nothing.db?query=SELECT 1", "there is no database nothing.db"),
        ("sqlite://?query=SELECT 1", "there is no database"),
        ("postgresql://me:secret@host:port/db", "no such database URL"),
        (
            "postgresql://me:secret@db.example/sales?password=secret",
            "postgresql://me:***@db.example",
        ),
        (
            "postgresql://me:secret@127.0.0.1:1/secret_sales?query=SELECT 1",
            "postgresql://me:***@127.0.0.1:1/secret_sales does not answer the query: ",
        ),
    ],
)
def test_a_database_that_does_not_answer_is_named_without_its_password(
    source: str, reason: str
) -> None:
    with pytest.raises(SourceError) as raised:
        load(source)
    assert reason in str(raised.value)
    assert ":secret@" not in str(raised.value)
    assert "password=" not in str(raised.value)
    assert not Path("nothing.db").exists()


def test_a_query_is_given_once() -> None:
    with pytest.raises(SourceError, match="the query is given twice, in the URL and beside it"):
        load("sqlite:///a.db?query=SELECT 1", query="SELECT 1")


_HOURS = """
CREATE TABLE hours AS
SELECT 'a' AS unique_id, h AS ds, 0.5 * row_number() OVER (ORDER BY h) AS y, true AS x
FROM generate_series(timestamptz '2024-01-01 00:00Z', '2024-01-01 05:00Z', '1 hour') AS h
"""


@pytest.fixture
def postgres() -> Iterator[str]:
    """The URL of a server and a schema of its own with a table `hours`, which goes again."""
    url = os.environ.get("GATECAST_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/test")
    schema = f"gatecast_{uuid4().hex}"
    address = sa.make_url(url).set(drivername="postgresql+psycopg")
    address = address.update_query_dict({"options": f"-csearch_path={schema}"})
    engine = sa.create_engine(address, poolclass=sa.pool.NullPool)
    try:
        with engine.begin() as connection:
            connection.execute(sa.schema.CreateSchema(schema))
            connection.exec_driver_sql(_HOURS)
    except sa.exc.OperationalError as error:
        pytest.skip(f"no PostgreSQL at {sql.show(address)}: {error.orig}")
    yield address.set(drivername="postgresql").render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(sa.schema.DropSchema(schema, cascade=True))
    engine.dispose()


def test_postgresql_answers_as_a_frame_does(postgres: str) -> None:
    query = "SELECT * FROM hours WHERE unique_id LIKE 'a%' AND x ORDER BY ds"
    expected = load_frame(
        pl.DataFrame(
            {
                "unique_id": ["a"] * 6,
                "ds": [f"2024-01-01T{hour:02d}:00Z" for hour in range(6)],
                "y": [0.5, 1.0, 1.5, 2.0, 2.5, 3.0],
                "x": [1] * 6,
            }
        ),
        hist_exog=("x",),
    )
    for source in (f"{postgres}&query={query}", f"{postgres}&query={quote_plus(query)}"):
        panel = load(source, hist_exog=("x",))
        assert panel.timeline.freq == "h"
        assert digest(panel) == digest(expected)


def test_postgresql_is_only_read(postgres: str) -> None:
    writing = "WITH w AS (DELETE FROM hours RETURNING *) SELECT * FROM w"
    for query in ("DELETE FROM hours", writing, "CREATE TABLE more (y int)", "SELECT nothing"):
        with pytest.raises(SourceError, match="does not answer the query"):
            load(postgres, query=query)
    assert len(load(postgres, query="SELECT ds, y FROM hours ORDER BY ds").series[0]) == 6
