"""`kill -9` at any moment of ingestion: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.faults.books import check
from tests.faults.clients import Client
from tests.faults.serving import Service, forecaster_of
from tests.service.running import eventually
from tests.store.databases import KINDS, empty

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("GATECAST_TEST_KILLS", "20"))
FIRST_STARTS = 5
CLIENTS = 8
SEED = 3


def interrupted(clients: list[Client], at: float) -> int:
    """Requests that were under way at a moment and were never answered."""
    return sum(lost.began < at <= lost.ended for client in clients for lost in client.lost)


@pytest.mark.timeout(60 + 10 * KILLS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_service_keeps_what_it_acknowledged_once(
    kind: str, tmp_path: Path, bundles: Path
) -> None:
    moments = random.Random(SEED)  # noqa: S311 - when to kill, no secret
    with empty(kind, tmp_path) as store:
        # A quarter of the streams is always on its way out of memory or back.
        settings = {"GATECAST_DATABASE_URL": store, "GATECAST_RESIDENT_STREAMS": "24"}
        service = Service(tmp_path / "var", bundles, **settings)
        service.start()
        clients = [Client(number, SEED, [service.url]) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        kills: list[float] = []
        while sum(interrupted(clients, at) > 0 for at in kills) < KILLS:
            assert len(kills) < 3 * KILLS, "hardly a kill falls into a request"
            time.sleep(moments.uniform(0, 0.4))
            kills.append(time.monotonic())
            service.kill()
            if moments.random() < 0.2:  # one that has not come up yet, and may be recovering
                service.begin()
                time.sleep(moments.uniform(0, 0.3))
                service.kill()
            service.start()
            assert all(client.is_alive() for client in clients), [c.wrong for c in clients]

        def enough() -> bool:  # on a busy machine more than the kills leave time for
            wrong = any(client.wrong for client in clients)
            return wrong or sum(client.acknowledged for client in clients) > 50 * KILLS

        eventually(enough)
        for client in clients:
            client.finish()
        rows = check(service.url, store, clients, forecaster_of(bundles))
        service.stop()
    assert rows > 50 * KILLS


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_that_is_killed_while_it_makes_its_tables_starts_again(
    kind: str, tmp_path: Path, bundles: Path
) -> None:
    moments = random.Random(SEED)  # noqa: S311 - when to kill, no secret
    for number in range(FIRST_STARTS):
        folder = tmp_path / str(number)
        with empty(kind, folder) as store:
            service = Service(folder / "var", bundles, GATECAST_DATABASE_URL=store)
            service.begin()
            time.sleep(moments.uniform(0, 0.5))
            service.kill()
            service.start()
            service.stop()
