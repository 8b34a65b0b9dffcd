"""What a service leaves behind when it has ended: nothing."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr

from store.errors import SchemaError
from store.migrate import opened
from store.settings import Settings
from tests.service.registries import EmbeddedRegistry, spec
from tests.service.running import eventually, ready, running
from tests.store.databases import empty, server


def test_no_connection_to_the_store_outlives_the_service(tmp_path: Path) -> None:
    name = f"gatecast-{uuid4().hex}"
    with empty("postgresql", tmp_path) as store:
        settings = Settings(
            var=tmp_path,
            database_url=SecretStr(f"{store}&application_name={name}"),
            port=0,
            log_level="error",
        )
        EmbeddedRegistry(settings).register("steps", spec())
        with running(settings) as url:
            ready(url)
            assert connections(name) > 0
        eventually(lambda: connections(name) == 0)


def test_no_connection_is_left_where_the_schema_is_not_ours(tmp_path: Path) -> None:
    name = f"gatecast-{uuid4().hex}"
    with empty("postgresql", tmp_path) as store:
        with psycopg.connect(store) as connection:
            connection.execute("CREATE TABLE observations (y int)")
        with pytest.raises(SchemaError):
            opened(f"{store}&application_name={name}")
        eventually(lambda: connections(name) == 0)


def connections(name: str) -> int:
    """How many the server has of that name."""
    with psycopg.connect(server()) as connection:
        found = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [name]
        ).fetchone()
    assert found is not None
    return int(found[0])
