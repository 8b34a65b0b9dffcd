"""Who hangs up or has no time harms nobody, himself included."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from models.forecaster import new_forecaster
from models.predict import predict
from store.settings import Settings
from tests.service.registries import COUNTED, EmbeddedRegistry
from tests.service.running import ready, running
from tests.service.streams.impatient import Client, all_at_once
from tests.service.streams.plain import PlainStream, Row, context_of
from tests.service.streams.versions import tiny

pytestmark = pytest.mark.slow

STREAMS = 100
REQUESTS = 10_000
SPEC = tiny(timeline=COUNTED)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that keeps half of the streams in memory."""
    settings = Settings(
        var=tmp_path_factory.mktemp("isolation"),
        port=0,
        poll_seconds=0.2,
        resident_streams=STREAMS // 2,
        log_level="error",
    )
    EmbeddedRegistry(settings).register("load", SPEC)
    with running(settings) as url:
        ready(url)
        yield url


def test_no_state_moves_between_streams_and_none_is_stuck(url: str) -> None:
    with httpx.Client(base_url=f"{url}/v1/models/load/streams", timeout=30) as http:
        for number in range(STREAMS):
            assert http.put(f"/s{number}").status_code == 201
        port = httpx.URL(url).port
        assert port is not None
        clients = asyncio.run(all_at_once(port, STREAMS, REQUESTS // STREAMS, seed=1))
        statuses = Counter(status for client in clients for status in client.statuses)
        assert set(statuses) <= {200, 409, 503}
        assert statuses[503] > 100
        assert statuses[200] > REQUESTS / 4
        assert sum(statuses.values()) < 0.8 * REQUESTS  # the others were not waited for
        forecaster = new_forecaster(SPEC, 0)
        for client in clients:
            log = check_log(http, client)
            last = max(log, default=0) + 1
            said = {"ds": last, "y": client.value(last)}
            answer = http.post(f"/{client.name}/observations?forecast=true", json=said)
            assert answer.status_code == 200
            assert answer.json()["position"] == len(log) + 1
            plain = PlainStream("load", client.name)
            plain.hold([Row(step, y) for step, y in (log | {last: client.value(last)}).items()])
            context = context_of(SPEC, plain.segment(SPEC, len(plain.rows)))
            assert context is not None
            expected = predict(forecaster, [context])[0].T
            found = np.array(list(answer.json()["forecast"]["quantiles"].values()))
            np.testing.assert_allclose(found, expected, rtol=1e-5)


def check_log(http: httpx.Client, client: Client) -> dict[int, float]:
    """A stream's log, which has what was acknowledged, and nothing that was refused or foreign."""
    history = http.get(f"/{client.name}/snapshot").json().get("history", {"ds": [], "y": []})
    log = dict(zip(history["ds"], history["y"], strict=True))
    assert len(log) == len(history["ds"])
    assert client.kept <= set(log)
    assert set(log) <= set(client.sent)
    assert all(y == client.value(step) for step, y in log.items())
    never = {step for step, count in client.refused.items() if count == client.sent[step]}
    assert not never & set(log)
    return log
