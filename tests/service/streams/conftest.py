"""Versions and stores for the tests of streams."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from service.slots import Loaded
from store.database import Database
from tests.service.streams.replicas import opened, store
from tests.service.streams.versions import load_all


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Loaded]]:
    """By task, two versions that may take turns."""
    return load_all(tmp_path_factory.mktemp("versions"))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A store of SQLite that the tests of a file share."""
    with store("sqlite", tmp_path_factory.mktemp("store")) as url, opened(url) as database:
        yield database
