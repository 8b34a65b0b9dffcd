"""Two services on one store, asked in turn; one is killed again and again."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.faults.books import check
from tests.faults.clients import all_get_on, sending
from tests.faults.serving import Service, forecaster_of
from tests.store.databases import KINDS, empty

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KILLS = 10


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost_or_there_twice_where_two_services_share_a_store(
    kind: str, tmp_path: Path, bundles: Path
) -> None:
    moments = random.Random(5)  # noqa: S311 - when to kill, no secret
    with empty(kind, tmp_path) as store:
        one, other = (
            Service(tmp_path / name, bundles, GATECAST_DATABASE_URL=store)
            for name in ("one", "other")
        )
        one.begin()  # both at once: one of them makes the tables
        other.start()
        one.wait()
        with sending(5, 8, [one.url, other.url]) as clients:
            for _ in range(KILLS):
                all_get_on(clients)
                time.sleep(moments.uniform(0, 0.4))
                one.kill()
                time.sleep(moments.uniform(0, 0.4))
                one.start()
        for service in (one, other):
            assert check(service.url, store, clients, forecaster_of(bundles)) > 100
        one.stop()
        other.stop()
