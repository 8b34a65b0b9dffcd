"""A store that cannot be written or reached: nothing is acknowledged that is not kept, and clients
that come again lose nothing."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from tests.faults.books import check
from tests.faults.clients import Client, all_get_on, sending
from tests.faults.clusters import Cluster, How, cluster
from tests.faults.serving import TASK, Service, forecaster_of
from tests.faults.small_disk import filled, small_disk
from tests.service.running import eventually
from tests.store.databases import server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CLIENTS = 4
HOWS: tuple[How, ...] = ("fast", "immediate")
SLOWEST = 15.0
"""Seconds until any answer, refusals included, of a service that has thirty for it."""


@contextmanager
def served(
    folder: Path, bundles: Path, store: str, **environment: str
) -> Iterator[tuple[Service, list[Client]]]:
    """A service at work for clients, the same process to the end, and then held against them.

    None of the clients ever has another answer than 200 or a 503 that says when to come again.
    """
    service = Service(folder, bundles, GATECAST_DATABASE_URL=store, **environment)
    service.start()
    with sending(1, CLIENTS, [service.url]) as clients:
        all_get_on(clients)
        yield service, clients
        all_get_on(clients)
    assert check(service.url, store, clients, forecaster_of(bundles)) > 50
    assert not any(client.lost for client in clients)
    assert max(client.slowest for client in clients) < SLOWEST
    service.stop()


def refused(clients: Sequence[Client], count: int = 3) -> None:
    """Wait until each client has been told to come again, so often from now on."""
    for told in [client.told(count) for client in clients]:
        eventually(told)


def reasons(clients: Sequence[Client]) -> set[str]:
    """What the clients were told."""
    return {reason for client in clients for reason in client.refusals}


def reading(service: Service, clients: Sequence[Client]) -> httpx.Response:
    """What is answered to someone who only reads."""
    path = clients[0].series[0].path
    return httpx.get(f"{service.url}{path}/forecast?quantiles=0.5", timeout=30)


def test_a_full_disk_is_read_and_nothing_is_acknowledged_until_there_is_room(
    tmp_path: Path, bundles: Path
) -> None:
    # Its own log lies there too, and more streams than may stay in memory.
    few = {"GATECAST_LOG_LEVEL": "info", "GATECAST_RESIDENT_STREAMS": "8"}
    with (
        small_disk(tmp_path / "disk", megabytes=8) as disk,
        served(disk / "var", bundles, f"sqlite:///{disk}/store.db", **few) as (service, clients),
    ):
        for _ in range(3):
            with filled(disk):
                refused(clients)
                assert reading(service, clients).status_code == 200
            all_get_on(clients)
        assert reasons(clients) == {"the disk is full"}


@pytest.mark.parametrize("limit", [40_000, 0])
def test_a_disk_that_refuses_what_is_written_recovers(
    limit: int, tmp_path: Path, bundles: Path
) -> None:
    store = f"sqlite:///{tmp_path}/store.db"
    with served(tmp_path / "var", bundles, store) as (service, clients):
        for _ in range(3):
            with writing_at_most(service.pid, limit):
                refused(clients)
                # Where no byte may be written, SQLite may not even come to open what it is to read.
                assert reading(service, clients).status_code in {200, 200 if limit else 503}
            all_get_on(clients)
        assert reasons(clients) == {"the disk cannot be read or written"}


@contextmanager
def writing_at_most(pid: int, limit: int) -> Iterator[None]:
    """A process whose files may not grow beyond so many bytes."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@pytest.fixture
def database() -> Iterator[str]:
    """A PostgreSQL database of its own."""
    url, name = server(), sql.Identifier(f"gatecast_{uuid4().hex}")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    yield url.rpartition("/")[0] + f"/{name.as_string()[1:-1]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def terminate(outsider: psycopg.Connection) -> int:
    """End every connection to a database but one's own; how many they were."""
    query = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()"""
    return len(outsider.execute(query).fetchall())


def test_connections_that_are_ended_under_way_lose_nothing(
    tmp_path: Path, bundles: Path, database: str
) -> None:
    ended = 0
    with (
        psycopg.connect(database, autocommit=True) as outsider,
        served(tmp_path / "var", bundles, database) as (_, clients),
    ):
        while ended < 200:
            ended += terminate(outsider)
            time.sleep(0.02)
    assert any(client.refusals for client in clients)


def test_a_database_that_may_only_be_read_is_read_and_recovers(
    tmp_path: Path, bundles: Path, database: str
) -> None:
    setting = "ALTER DATABASE {} SET default_transaction_read_only = {}"
    name = sql.Identifier(database.rpartition("/")[2])
    with (
        psycopg.connect(database, autocommit=True) as outsider,
        served(tmp_path / "var", bundles, database) as (service, clients),
    ):
        for _ in range(2):
            outsider.execute(sql.SQL(setting).format(name, sql.SQL("on")))
            terminate(outsider)
            refused(clients)
            assert reading(service, clients).status_code == 200
            outsider.execute(sql.SQL(setting).format(name, sql.SQL("off")))
            all_get_on(clients)
        assert "the database is read-only" in reasons(clients)


@pytest.fixture
def own() -> Iterator[Cluster]:
    with cluster() as found:
        yield found


def test_a_server_that_is_stopped_or_crashes_and_comes_again(
    tmp_path: Path, bundles: Path, own: Cluster
) -> None:
    with served(tmp_path / "var", bundles, own.url) as (service, clients):
        for how in (*HOWS, "immediate"):
            own.stop(how)
            refused(clients)
            answer = reading(service, clients)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            own.start()
            all_get_on(clients)
        assert "the database cannot be reached" in reasons(clients)


def test_a_server_that_stands_still_makes_nobody_wait_beyond_the_deadline(
    tmp_path: Path, bundles: Path, own: Cluster
) -> None:
    with served(tmp_path / "var", bundles, own.url, GATECAST_REQUEST_SECONDS="2") as (
        service,
        clients,
    ):
        with own.frozen():
            refused(clients, 1)
            assert reading(service, clients).status_code == 503
            stream = f"{service.url}/v1/models/{TASK}/streams/another"
            for answer in (httpx.put(stream, timeout=30), httpx.delete(stream, timeout=30)):
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        all_get_on(clients)
    assert max(client.slowest for client in clients) < 2 + 1 + 1
