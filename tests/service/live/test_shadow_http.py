"""A challenger in shadow of a real server, and one that is not asked for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.live import recorder, shadow
from store.conventions import CHALLENGER, CHAMPION
from store.settings import Settings
from tests.service.registries import COUNTED, EmbeddedRegistry, spec
from tests.service.running import eventually, ready, running

SECONDS = 150.0
"""A challenger that could not be loaded on a busy machine is tried again after a minute."""


@pytest.fixture
def own(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a service that is in a hurry."""
    monkeypatch.setattr(shadow, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(shadow, "CHOOSE_SECONDS", 0.05)
    monkeypatch.setattr(recorder, "WRITE_SECONDS", 0.05)
    return settings.model_copy(update={"tasks": ("shadowed",), "var": tmp_path})


@pytest.fixture(scope="module", autouse=True)
def _task(registry: EmbeddedRegistry) -> None:
    """A task with a champion 1 and a challenger 2."""
    small = spec(timeline=COUNTED, input_size=8, lags=8, season=(4,))
    registry.register("shadowed", small)
    registry.register("shadowed", small, seed=1, champion=False)
    registry.alias("shadowed", CHALLENGER, "2")


def send(client: httpx.Client, steps: range) -> None:
    """An observation a request, each with the forecast after it."""
    for step in steps:
        answer = client.post(
            "/v1/models/shadowed/streams/a/observations?forecast=true",
            json={"ds": step, "y": 100 + step % 7},
        )
        assert answer.status_code == 200, answer.text


def scored(client: httpx.Client, version: str) -> int:
    """How many forecasts of one step ahead were counted."""
    said: dict[str, Any] = client.get(f"/v1/models/shadowed/scores?version={version}").json()
    assert version == "1" or not said["drift"]
    return sum(each["scored"] for each in said["totals"] if each["lead"] == 1)


def counted(client: httpx.Client, name: str, version: str) -> float:
    """What `/metrics` says of one step ahead."""
    head = f'gatecast_{name}_total{{lead="1",task="shadowed",version="{version}"}} '
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(head))


def opened(client: httpx.Client) -> None:
    """A stream with some forecasts scored."""
    assert client.put("/v1/models/shadowed/streams/a", json={}).status_code == 201
    send(client, range(20))
    eventually(lambda: scored(client, "1"))


def test_nothing_is_shadowed_unless_it_is_asked_for(own: Settings) -> None:
    with running(own) as url, httpx.Client(base_url=url, timeout=30) as client:
        ready(url)
        opened(client)
        send(client, range(20, 40))
        eventually(lambda: scored(client, "1") > 20)
        assert scored(client, "2") == 0


@pytest.mark.slow
def test_both_are_shown_side_by_side_until_the_challenger_serves(
    own: Settings, registry: EmbeddedRegistry
) -> None:
    own = own.model_copy(update={"shadow_streams": 10})
    with running(own) as url, httpx.Client(base_url=url, timeout=30) as client:
        ready(url)
        opened(client)
        # it begins once the alias and the stream were seen, and then no forecast is left out
        end, deadline = 20, time.monotonic() + SECONDS
        while not scored(client, "2"):
            send(client, range(end, end + 1))
            end += 1
            assert time.monotonic() < deadline
            time.sleep(0.02)
        first, second = (counted(client, "live_forecasts", version) for version in "12")
        send(client, range(end, end + 20))
        eventually(lambda: counted(client, "live_forecasts", "2") >= second + 20)
        assert counted(client, "live_forecasts", "1") == first + 20
        beside = counted(client, "shadow_champion_quantile_loss", "2")
        assert 0 < beside < counted(client, "live_quantile_loss", "1") * 1.000001
        registry.alias("shadowed", CHAMPION, "2")
        eventually(lambda: client.get("/v1/models/shadowed").json()["champion"]["version"] == "2")
        before = counted(client, "live_forecasts", "1"), counted(client, "live_forecasts", "2")
        send(client, range(end + 20, end + 30))
        eventually(lambda: counted(client, "live_forecasts", "2") >= before[1] + 8)
        after = counted(client, "live_forecasts", "1"), counted(client, "live_forecasts", "2")
        assert after[0] - before[0] + after[1] - before[1] <= 10
