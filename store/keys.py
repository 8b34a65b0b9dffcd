"""Many keys, or many rows, in one statement: a batch of any size costs few round trips.

Few statements matter on SQLite too, and few rows. Its driver lets go of Python's lock at every
step, and a thread that is busy may then keep it for 5 ms. So an answer comes as one row, with
columns as JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

import orjson
from sqlalchemy import Connection, CursorResult, Dialect, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql.elements import TextClause

from store.tables import metadata

_CHUNK = 512
"""Rows of one SQLite statement at most."""


def keyed(
    connection: Connection,
    statement: str,
    columns: tuple[str, ...],
    rows: Sequence[Sequence[Any]],
    **others: object,
) -> CursorResult[Any]:
    """Run a statement in which `{keys}` stands for a table k that holds `rows`.

    columns: names of k's columns; each has the type of a column of ours with that name. others:
    further parameters, `:name` in the statement. On SQLite the rows travel as JSON: whole numbers
    and text only.
    """
    prepared = _prepared(connection.dialect.name, statement, columns)
    if connection.dialect.name == "sqlite":
        return connection.execute(prepared, {"keys": orjson.dumps(rows).decode(), **others})
    arrays = zip(*rows, strict=True) if rows else [()] * len(columns)
    return connection.execute(prepared, dict(zip(columns, map(list, arrays), strict=True)) | others)


def fetch(
    connection: Connection,
    statement: str,
    columns: tuple[str, ...],
    rows: Sequence[Sequence[Any]],
    answer: tuple[str, ...],
    **others: object,
) -> list[tuple[Any, ...]]:
    """The rows that a SELECT with `{keys}` yields, in no certain order.

    answer: the names of its columns, which have the types of columns of ours. See `keyed`.
    """
    if connection.dialect.name == "postgresql":
        found = keyed(connection, statement, columns, rows, **others)
        return [tuple(row) for row in found.all()]
    packed = keyed(connection, _packed(statement, answer), columns, rows, **others).one()
    lists = [orjson.loads(text) for text in packed]
    for place, name in enumerate(answer):
        if _types()[name] == "BYTEA":
            lists[place] = [bytes.fromhex(text) for text in lists[place]]
    return list(zip(*lists, strict=True))


def insert(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    conflict: str = "",
) -> None:
    """Insert rows. conflict: an ON CONFLICT clause."""
    names = ", ".join(columns)
    into = f"INSERT INTO {table.name} ({names})"
    if connection.dialect.name == "postgresql":
        statement = f"{into} SELECT {names} FROM {{keys}} {conflict}"  # noqa: S608
        keyed(connection, statement, columns, rows)
        return
    row = f"({', '.join('?' * len(columns))})"
    for chunk, padding in _chunks(rows):
        values = ", ".join([row] * (len(chunk) + padding))
        connection.exec_driver_sql(
            f"{into} SELECT * FROM (VALUES {values})"  # noqa: S608
            f" WHERE column1 IS NOT NULL {conflict}",
            (*chain.from_iterable(chunk), *(None,) * (padding * len(columns))),
        )


def _chunks(
    rows: Sequence[tuple[Any, ...]],
) -> Iterator[tuple[Sequence[tuple[Any, ...]], int]]:
    """Parts of `rows`, each with what is missing to a power of two.

    So at most ten statements of a kind exist, and the driver keeps them prepared.
    """
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        yield chunk, (1 << (len(chunk) - 1).bit_length()) - len(chunk)


@cache
def _packed(statement: str, answer: tuple[str, ...]) -> str:
    """A statement of one row: each column of the answer as a JSON array."""
    types = _types()
    numbers = "'[' || ifnull(group_concat(ifnull({}, 'null')), '') || ']'"
    arrays = {
        "TEXT": "json_group_array({})",
        "BYTEA": "json_group_array(hex({}))",
        # JSON functions keep 15 digits. 17 tell a float64 from its neighbours, and the alternate
        # form (!) prints up to 20 without a loss.
        "DOUBLE PRECISION": numbers.format("iif({0} IS NULL, NULL, printf('%!.20e', {0}))"),
    }
    picked = ", ".join(arrays.get(types[name], numbers).format(name) for name in answer)
    return f"SELECT {picked} FROM ({statement})"  # noqa: S608


@cache
def _prepared(dialect: str, statement: str, columns: tuple[str, ...]) -> TextClause:
    if dialect == "sqlite":
        picked = ", ".join(f"json_extract(value, '$[{i}]') AS {c}" for i, c in enumerate(columns))
        keys = f"(SELECT {picked} FROM json_each(:keys)) AS k"  # noqa: S608
    else:
        types = _types()
        arrays = ", ".join(f"CAST(:{column} AS {types[column]}[])" for column in columns)
        keys = f"unnest({arrays}) AS k({', '.join(columns)})"
    return text(statement.replace("{keys}", keys))


@cache
def _types() -> dict[str, str]:
    """Column name to PostgreSQL's name of its type. A name means one type in all our tables."""
    dialect: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return {
        column.name: column.type.compile(dialect)
        for table in metadata.tables.values()
        for column in table.columns
    }
