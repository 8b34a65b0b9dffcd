"""The answer to a query of PostgreSQL or SQLite as a table, fetched in batches, read-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote_plus

import polars as pl
from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from .faults import SourceError
from .table import Table, column

_SCHEMES = ("postgresql", "postgres", "sqlite")
_BATCH = 50_000  # rows


@dataclass(frozen=True, slots=True)
class Question:
    """A database and what it is asked. The URL, which may hold a password, is not in the repr."""

    url: URL = field(repr=False)
    query: str


def is_url(source: str) -> bool:
    """Whether a source names a database rather than a file."""
    scheme = source.partition("://")[0].partition("+")[0].lower()
    return "://" in source and scheme in _SCHEMES


def read_url(source: str, query: str | None = None) -> Question:
    """Take `postgresql://user@host/db?query=SELECT…` or `sqlite:///path.db?query=SELECT…` apart.

    The query may be given beside the URL, or be its parameter `query`: percent-encoded, or, if it
    is the last parameter, as it is. Raises SourceError, which does not show the password.
    """
    address, found = _split(source)
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        raise SourceError(
            "no such database URL: expected postgresql://user@host/name or sqlite:///path"
        ) from None
    if found is not None and query is not None:
        raise SourceError("the query is given twice, in the URL and beside it")
    asked = (query if query is not None else found or "").strip().rstrip(";")
    if not asked:
        raise SourceError(
            f"{show(url)} has not been asked anything: add ?query= with a SELECT to the URL"
        )
    driver = "sqlite" if url.get_backend_name() == "sqlite" else "postgresql+psycopg"
    return Question(url.set(drivername=driver), asked)


def _split(source: str) -> tuple[str, str | None]:
    """The URL without its parameter `query`, and that parameter, decoded."""
    address, _, rest = source.partition("?")
    kept: list[str] = []
    while rest:
        if rest.startswith("query="):
            query = rest.removeprefix("query=")
            if any(character.isspace() for character in query):
                return _join(address, kept), query  # as it is, with whatever & and % it has
            query, _, rest = query.partition("&")
            return _join(address, [*kept, rest]), unquote_plus(query)
        parameter, _, rest = rest.partition("&")
        kept.append(parameter)
    return _join(address, kept), None


def _join(address: str, parameters: list[str]) -> str:
    return "?".join(filter(None, [address, "&".join(filter(None, parameters))]))


def show(url: URL) -> str:
    """A URL for people: neither password nor parameters, which may hold one too."""
    plain = url.set(drivername=url.get_backend_name(), query={})
    return plain.render_as_string(hide_password=True)


def read_query(question: Question) -> Table:
    """Ask, within one read-only transaction. Raises SourceError for whatever the database says."""
    engine = _engine(question.url)
    try:
        with engine.connect() as connection:
            frames = list(_batches(_read_only(connection), question.query))
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise SourceError(_told(question.url, error)) from None
    finally:
        engine.dispose()
    if not frames:
        raise SourceError(f"the query of {show(question.url)} yields no rows")
    try:
        return Table(pl.concat(frames, how="vertical_relaxed"), "series")
    except pl.exceptions.PolarsError as error:
        raise SourceError(f"the query's columns change their type: {error}") from error


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        try:
            return create_engine(url, poolclass=NullPool)
        except ModuleNotFoundError:
            raise SourceError(
                "PostgreSQL needs psycopg: pip install 'gatecast[postgres]'"
            ) from None
    path = Path(url.database or "")
    if not path.is_file():
        raise SourceError(f"there is no database {path}")
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    return create_engine(
        "sqlite://", poolclass=NullPool, creator=lambda: sqlite3.connect(address, uri=True)
    )


def _read_only(connection: Connection) -> Connection:
    if connection.dialect.name == "postgresql":
        connection = connection.execution_options(postgresql_readonly=True)
        # Or stamps would come in the server's zone, and be taken to mean it.
        connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
    return connection


def _batches(connection: Connection, query: str) -> Iterator[pl.DataFrame]:
    streamed = connection.execution_options(
        stream_results=True, max_row_buffer=_BATCH, no_parameters=True
    )
    result = streamed.exec_driver_sql(query)
    if not result.returns_rows:
        raise SourceError("the query yields no rows: a SELECT is expected")
    names = list(result.keys())
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SourceError(f"the query yields two columns {twice!r}")
    for rows in result.partitions(_BATCH):
        yield pl.DataFrame(
            [
                column(name, list(cells))
                for name, cells in zip(names, zip(*rows, strict=True), strict=True)
            ]
        )


def _told(url: URL, error: Exception) -> str:
    """What a database said, in one line, without the password."""
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    reason = said[0] if said else type(error).__name__
    if url.password:
        reason = reason.replace(str(url.password), "***")
    return f"{show(url)} does not answer the query: {reason}"
