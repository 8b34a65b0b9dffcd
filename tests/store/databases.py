"""Databases of both kinds for the tests, each gone afterwards, and streams in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Connection, update

from store.database import Database
from store.streams import NewStream, open_streams
from store.tables import streams

KINDS = ("sqlite", "postgresql")
OPENED = 1_700_000_000_000
"""When `new` streams are opened, in milliseconds since 1970."""


def server() -> str:
    """The URL of the PostgreSQL server that the tests may use; skips where there is none."""
    url = os.environ.get("GATECAST_TEST_POSTGRES")
    if not url:
        pytest.skip("GATECAST_TEST_POSTGRES names no PostgreSQL server")
    return url


@contextmanager
def empty(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database: a file in `folder`, or a schema of the server's."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/store/gatecast.db"
        return
    url, schema = server(), f"gatecast_{uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    try:
        joint = "&" if "?" in url else "?"
        yield f"{url}{joint}options=-csearch_path%3D{schema}"
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())
            connection.execute(f"DROP SCHEMA IF EXISTS {schema}_tuning CASCADE".encode())


def new(task: str, name: str) -> NewStream:
    """A stream to open."""
    return NewStream(task, name, "{}", 3, None, None, False, None, OPENED)


def opened(database: Database, count: int) -> list[int]:
    """The ids of so many new streams of a task of their own."""
    task = uuid4().hex
    with database.writing() as connection:
        made = open_streams(connection, [new(task, f"{i:06}") for i in range(count)])
    return [stream.id for stream, _ in made]


def touch(connection: Connection, stream: int) -> None:
    """Write something that a rollback must undo."""
    change = update(streams).where(streams.c.id == stream).values(late_seq=9)
    assert connection.execute(change).rowcount == 1
