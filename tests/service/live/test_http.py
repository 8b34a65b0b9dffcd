"""Live scores and drift of a real server over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from service.live import drift, recorder, scorer
from store.settings import Settings
from tests.service.registries import COUNTED, EmbeddedRegistry, spec
from tests.service.running import eventually, ready, running

STREAMS = 20
RANDOM = np.random.default_rng(11)


@pytest.fixture(scope="module")
def fast() -> Iterator[None]:
    """A service that is in a hurry: all forecasts are scored, written, and soon enough believed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorer, "SAMPLE_EVERY", 4)
        patch.setattr(recorder, "WRITE_SECONDS", 0.05)
        patch.setattr(drift, "THRESHOLD", 300.0)
        yield


@pytest.fixture(scope="module")
def client(
    fast: None,
    settings: Settings,
    registry: EmbeddedRegistry,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[httpx.Client]:
    del fast
    registry.register("drifting", spec(timeline=COUNTED, input_size=8, lags=8, season=(4,)))
    own = settings.model_copy(
        update={"tasks": ("drifting",), "var": tmp_path_factory.mktemp("drifting")}
    )
    with running(own) as url, httpx.Client(base_url=url, timeout=30) as made:
        ready(url)
        yield made


def send(client: httpx.Client, steps: range, deviation: float) -> None:
    """A request a step, of all streams."""
    for step in steps:
        lines = [
            orjson.dumps({"unique_id": f"{i}", "ds": step, "y": 100 + deviation * noise})
            for i, noise in enumerate(RANDOM.standard_normal(STREAMS).tolist())
        ]
        answer = client.post(
            "/v1/models/drifting/observations?open=true",
            content=b"\n".join(lines),
            headers={"content-type": "application/x-ndjson"},
        )
        assert answer.status_code == 200, answer.text


def lead_1(client: httpx.Client) -> dict[str, float | str | None]:
    said = client.get("/v1/models/drifting").json()["drift"]
    found: dict[str, float | str | None] = next(each for each in said if each["lead"] == 1)
    return found


def lead_1_total(said: dict[str, Any]) -> float:
    return float(next(each["scored"] for each in said["totals"] if each["lead"] == 1))


def test_scores_and_drift_are_shown_as_they_come(client: httpx.Client) -> None:
    assert client.get("/v1/models/drifting/scores").json() == {
        "model": "drifting",
        "totals": [],
        "hours": [],
        "drift": [],
    }
    send(client, range(256), 1.0)
    eventually(lambda: (client.get("/v1/models/drifting").json()["drift"] or [{}])[0].get("blocks"))
    before = lead_1(client)
    assert before["raised_at"] is None
    assert int(before["blocks"] or 0) > 10
    # the scale is the window's: an error must outgrow it, and so the wobble grows from step to step
    for step in range(256, 576):
        send(client, range(step, step + 1), 1.1 ** (step - 256))
        if step % 16 == 0 and lead_1(client)["raised_at"]:
            break
    eventually(lambda: lead_1(client)["raised_at"])
    labels = '{lead="1",task="drifting",version="1"}'
    place = "/v1/models/drifting/scores?version=1&hours=2"
    eventually(
        lambda: (
            f"gatecast_live_forecasts_total{labels} {lead_1_total(client.get(place).json())}"
            in client.get("/metrics").text
        )
    )
    said = client.get(place).json()
    total = next(each for each in said["totals"] if each["lead"] == 1)
    assert total["scored"] > 1_000
    assert 0 < total["coverage_80"] < total["coverage_95"] <= 1
    assert sum(each["scored"] for each in said["hours"] if each["lead"] == 1) == total["scored"]
    assert f"gatecast_drift_raised{labels} 1.0" in client.get("/metrics").text


def test_an_unknown_model_has_no_scores(client: httpx.Client) -> None:
    assert client.get("/v1/models/nothing/scores").status_code == 404
    assert client.get("/v1/models/drifting/scores?hours=0").status_code == 422
    assert client.get("/v1/models/drifting/scores?version=2").json()["totals"] == []
