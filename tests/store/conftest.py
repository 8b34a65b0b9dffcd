"""The same tests on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.database import Database, open_database
from store.migrate import migrate
from tests.store.databases import KINDS, empty


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    with empty(request.param, tmp_path) as found:
        yield found


@pytest.fixture(scope="module", params=KINDS)
def shared_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a database with our schema, the same for all tests of a file."""
    with empty(request.param, tmp_path_factory.mktemp("store")) as found:
        migrate(found)
        yield found


@pytest.fixture(scope="module")
def database(shared_url: str) -> Iterator[Database]:
    """A database with our schema, the same for all tests of a file."""
    opened = open_database(shared_url)
    yield opened
    opened.close()
