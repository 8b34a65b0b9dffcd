"""Events of a stream: none is missing and none comes twice, wherever a listener breaks off."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from store.settings import Settings
from tests.service.conftest import COVARIATES
from tests.service.registries import COUNTED, EmbeddedRegistry, spec
from tests.service.running import ready, running
from tests.service.streams.listening import Told, heard, observe, opened, same, streams, told
from tests.store.databases import KINDS, empty


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(var=tmp_path_factory.mktemp("events"), port=0, log_level="error")
    registry = EmbeddedRegistry(settings)
    registry.register("steps", spec(timeline=COUNTED))
    registry.register("covariates", COVARIATES)
    with running(settings) as url:
        ready(url)
        yield streams(url)


def test_each_observation_is_an_event_with_its_forecast(url: str) -> None:
    opened(url, "one")
    observe(url, "one", *range(5))
    events = heard(url, "one", 0, 5)
    assert [event["position"] for event in events] == [1, 2, 3, 4, 5]
    assert [event["ds"] for event in events] == [0, 1, 2, 3, 4]
    assert [event["warming"] for event in events] == [True] * 5
    now = httpx.get(f"{url}/one/forecast").json()
    same(events[-1], events[-1] | {"forecast": now["forecast"]})


def test_a_listener_without_an_id_hears_what_comes_next(url: str) -> None:
    opened(url, "next")
    observe(url, "next", 0, 1)
    with httpx.stream("GET", f"{url}/next/events?h=2&level=80", timeout=20) as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        events = told(response)
        first = next(events)
        assert (first.name, first.id, first.data["position"]) == ("open", 2, 2)
        observe(url, "next", 2)
        name, number, data = next(events)
    assert (name, number, data["ds"]) == ("forecast", 3, 2)
    assert list(data["forecast"]) == ["ds", "mean", "lo-80", "hi-80"]
    assert len(data["forecast"]["mean"]) == 2


def test_what_was_told_live_is_told_again(url: str) -> None:
    opened(url, "again", rewind=6)
    with httpx.stream("GET", f"{url}/again/events", timeout=20) as response:
        events = told(response)
        next(events)
        observe(url, "again", *range(30))
        observe(url, "again", 30, 33)
        observe(url, "again", 31)  # late
        observe(url, "again", 34, 90)  # after a gap that is too long
        observe(url, "again", 91)
        live = [next(events).data for _ in range(36)]
    assert [event["ds"] for event in live] == [*range(31), 33, 31, 34, 90, 91]
    assert [event["late"] for event in live] == [False] * 32 + [True] + [False] * 3
    assert [event["missing"] for event in live[30:]] == [0, 2, 0, 0, 55, 0]
    assert live[32]["forecast"]["ds"][0] == 34
    for after in (0, 30, 31, 32, 33, 35):
        for one, other in zip(live[after:], heard(url, "again", after, 36 - after), strict=True):
            same(one, other)


def test_a_future_that_a_sender_knows_is_no_part_of_events(url: str) -> None:
    base = url.replace("/steps/", "/covariates/")
    stat = {"stat_exog": {"area": 1.0}}
    opened(base, "future", **stat)
    with httpx.stream("GET", f"{base}/future/events", timeout=20) as response:
        events = told(response)
        next(events)
        for hour in range(3):
            body = {
                "ds": f"2026-03-29T0{hour}:00:00Z",
                "y": 100.0 + hour,
                "exog": {"temperature": 3.0, "price": 40.0},
                "futr_exog": {"price": [90.0] * 6},
            }
            answer = httpx.post(f"{base}/future/observations?forecast=true", json=body)
            assert answer.status_code == 200, answer.text
        live = [next(events).data for _ in range(3)]
    for one, other in zip(live, heard(base, "future", 0, 3), strict=True):
        same(one, other)
    assert live[-1]["forecast"]["mean"] != answer.json()["forecast"]["mean"]


def test_a_long_history_is_told_in_its_order(url: str) -> None:
    opened(url, "long")
    with httpx.stream("GET", f"{url}/long/events", timeout=20) as response:
        events = told(response)
        next(events)
        observe(url, "long", *range(700))  # more than is computed at once
        live = [next(events) for _ in range(700)]
    assert [event.id for event in live] == list(range(1, 701))
    for place in (0, 1, 500, 699):
        [again] = heard(url, "long", place, 1)
        same(live[place].data, again)


def test_of_too_many_events_the_oldest_are_skipped(url: str) -> None:
    opened(url, "many")
    observe(url, "many", *range(1_010))
    headers = {"last-event-id": "3"}
    with httpx.stream("GET", f"{url}/many/events", headers=headers, timeout=20) as response:
        events = told(response)
        assert next(events).name == "open"
        assert next(events) == Told("skipped", 10, {"count": 7})
        assert next(events).id == 11


def test_events_end_when_the_stream_is_closed(url: str) -> None:
    opened(url, "closing")
    observe(url, "closing", 0)
    with httpx.stream("GET", f"{url}/closing/events", timeout=20) as response:
        events = told(response)
        next(events)
        httpx.delete(f"{url}/closing")
        assert [(event.name, event.data) for event in events] == [("closed", {"reason": "closed"})]
    assert httpx.get(f"{url}/closing/events").status_code == 410


@pytest.mark.slow
def test_events_end_when_the_stream_expires(url: str) -> None:
    opened(url, "dying", ttl_hours=2 / 3600)
    with httpx.stream("GET", f"{url}/dying/events", timeout=20) as response:
        events = told(response)
        next(events)
        assert [(each.name, each.data) for each in events] == [("closed", {"reason": "expired"})]
    assert httpx.get(f"{url}/dying/events").status_code == 410


def test_a_stream_that_is_closed_still_tells_what_was_missed(url: str) -> None:
    opened(url, "over")
    observe(url, "over", 0, 1, 2)
    httpx.delete(f"{url}/over")
    headers = {"last-event-id": "1"}
    with httpx.stream("GET", f"{url}/over/events", headers=headers, timeout=20) as response:
        names = [(event.name, event.id) for event in told(response)]
    assert names == [("open", 1), ("forecast", 2), ("forecast", 3), ("closed", 3)]
    headers = {"last-event-id": "3"}
    assert httpx.get(f"{url}/over/events", headers=headers).status_code == 410


@pytest.mark.parametrize("last", ["x", "-1", "99", "1.5", "9" * 400])
def test_an_id_that_is_none_is_refused(url: str, last: str) -> None:
    httpx.put(f"{url}/ids")
    answer = httpx.get(f"{url}/ids/events", headers={"last-event-id": last})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Last-Event-ID"


@pytest.mark.parametrize("query", ["h=7", "h=0", "level=100", "quantiles=2", "nothing=1"])
def test_a_query_that_the_model_has_no_answer_to_is_refused(url: str, query: str) -> None:
    httpx.put(f"{url}/ids")
    assert httpx.get(f"{url}/ids/events?{query}").status_code == 422


def test_a_stream_that_nobody_opened_has_no_events(url: str) -> None:
    assert httpx.get(f"{url}/nobody/events").status_code == 404


@pytest.mark.slow
def test_listeners_do_not_take_the_place_of_requests(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path, port=0, log_level="error", max_requests=2)
    EmbeddedRegistry(settings).register("steps", spec(timeline=COUNTED))
    with running(settings) as base, httpx.Client(timeout=20) as client:
        ready(base)
        opened(streams(base), "a")
        asked = [client.build_request("GET", f"{streams(base)}/a/events") for _ in range(4)]
        responses = [client.send(each, stream=True) for each in asked]
        assert [response.status_code for response in responses] == [200] * 4
        observe(streams(base), "a", 0)
        for response in responses:
            response.close()


@pytest.mark.slow
def test_listeners_that_come_back_at_100_random_points_miss_nothing(url: str) -> None:
    moments = random.Random(5)  # noqa: S311 - when to hang up, no secret
    opened(url, "random", rewind=3)
    total = 600

    def feed() -> None:
        step = 0
        while step < total:
            count = min(moments.choice((1, 1, 1, 4, 20)), total - step)
            steps = list(range(step, step + count))
            if count == 4:  # one of them late
                steps = [steps[0], steps[2], steps[1], steps[3]]
            observe(url, "random", *steps)
            step += count

    feeding = threading.Thread(target=feed)
    feeding.start()
    events: list[dict[str, Any]] = []
    breaks = 0
    hang_up = random.Random(6)  # noqa: S311
    while len(events) < total:
        count = min(hang_up.randint(1, 9), total - len(events))
        events += heard(url, "random", len(events), count)
        breaks += 1
    feeding.join()
    assert breaks >= 100
    assert [event["position"] for event in events] == list(range(1, total + 1))
    for one, other in zip(events, heard(url, "random", 0, total), strict=True):
        same(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_another_service_observes_is_heard_here(kind: str, tmp_path: Path) -> None:
    with empty(kind, tmp_path) as store:
        shared = Settings(database_url=SecretStr(store), port=0, log_level="error")
        one, other = (
            shared.model_copy(
                update={"var": tmp_path / name, "tracking_uri": uri, "registry_uri": uri}
            )
            for name in ("one", "other")
            for uri in [f"sqlite:///{tmp_path / name}/mlflow.db"]
        )
        for settings in (one, other):
            EmbeddedRegistry(settings).register("steps", spec(timeline=COUNTED))
        with running(one) as here, running(other) as there:
            ready(here)
            ready(there)
            opened(streams(here), "a", rewind=2)
            with httpx.stream("GET", f"{streams(here)}/a/events", timeout=20) as response:
                events = told(response)
                next(events)
                observe(streams(there), "a", 0, 1, 3)
                assert [next(events).id for _ in range(3)] == [1, 2, 3]
                observe(streams(here), "a", 2, 4)
                observe(streams(there), "a", 5)
                assert [next(events).data["ds"] for _ in range(3)] == [2, 4, 5]
                httpx.delete(f"{streams(there)}/a")
                assert [event.name for event in events] == ["closed"]
