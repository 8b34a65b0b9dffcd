"""One stream over HTTP: what is answered, rule by rule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import numpy as np
import pytest

from models.forecaster import new_forecaster
from models.predict import predict
from tests.service.registries import spec
from tests.service.streams.plain import Row, context_of

NAMES = count()
START = datetime(2026, 3, 28, 22, tzinfo=UTC)

Send = Callable[..., httpx.Response]


def ds(step: int) -> str:
    return (START + timedelta(hours=step)).isoformat()


@pytest.fixture
def send(client: httpx.Client) -> Send:
    """send(method, rest of the path, JSON) to a new stream of hourly data."""
    place = f"/v1/models/load/streams/r{next(NAMES)}"

    def send(method: str, rest: str = "", said: Any = None) -> httpx.Response:
        return client.request(method, place + rest, json=said)

    assert send("PUT").status_code == 201
    return send


def observe(send: Send, step: int, y: float | None, query: str = "") -> httpx.Response:
    return send("POST", f"/observations{query}", {"ds": ds(step), "y": y})


def problem(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = answer.json()
    assert (said["status"], said["type"]) == (status, f"urn:gatecast:problem:{kind}")
    return said


def test_an_observation_is_answered_with_the_forecast_that_follows(send: Send) -> None:
    assert observe(send, 0, 5.0).json() == {
        "model": "load",
        "version": "1",
        "unique_id": send("GET").json()["unique_id"],
        "warming": True,
        "ds": ds(0),
        "position": 1,
        "duplicate": False,
        "late": False,
        "missing": 0,
    }
    values = [5.0] + [float(step % 24 + 50) for step in range(1, 30)]
    for step in range(1, 29):
        observe(send, step, values[step])
    said = observe(send, 29, values[29], "?forecast=true").json()
    assert (said["position"], said["warming"]) == (30, False)
    assert said["forecast"]["ds"] == [ds(step) for step in range(30, 36)]
    # this model has no calendar, so that it does not mind when the hours of `plain` begin
    context = context_of(spec(), [Row(step, y) for step, y in enumerate(values)])
    assert context is not None
    expected = predict(new_forecaster(spec(), 0), [context])[0]
    found = np.array(list(said["forecast"]["quantiles"].values())).T
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert said["forecast"]["mean"] == said["forecast"]["quantiles"]["0.5"]
    read = send("GET", "/forecast").json()
    assert (read["forecast"], read["last_ds"]) == (said["forecast"], ds(29))


def test_the_same_again_is_a_success_that_changes_nothing(send: Send) -> None:
    rows = ((0, 1.0), (1, None), (2, 3.0))
    for step, y in rows:
        observe(send, step, y)
    before = send("GET").json()
    for step, y in rows:
        said = observe(send, step, y, "?forecast=true").json()
        assert (said["duplicate"], said["position"]) == (True, step + 1)
        assert said["forecast"]["ds"][0] == ds(3)
    assert send("GET").json() == before


def test_another_value_is_a_conflict_that_names_both(send: Send) -> None:
    observe(send, 0, 1.0)
    observe(send, 1, None)
    for step, y, stored in ((0, 2.0, 1.0), (1, 2.0, None), (0, None, 1.0)):
        said = problem(observe(send, step, y), 409, "conflicting-observation")
        assert (said["ds"], said["stored"], said["given"]) == (ds(step), stored, y)


def test_missing_steps_are_masked_and_reported(send: Send) -> None:
    observe(send, 0, 1.0)
    assert observe(send, 24, 1.0).json()["missing"] == 23
    status = send("GET").json()
    assert (status["steps"], status["since"], status["warming"]) == (25, ds(0), False)


def test_after_a_long_gap_a_stream_warms_anew(send: Send) -> None:
    send("PUT", "", {"max_gap": 3})
    for step in range(30):
        observe(send, step, 1.0)
    assert not send("GET").json()["warming"]
    said = observe(send, 34, 2.0, "?forecast=true").json()
    assert (said["missing"], said["warming"]) == (4, True)
    assert said["forecast"]["mean"]
    status = send("GET").json()
    assert (status["steps"], status["since"], status["observations"]) == (1, ds(34), 31)


def test_a_late_one_is_refused_and_told_what_is_expected(send: Send) -> None:
    observe(send, 0, 1.0)
    observe(send, 2, 1.0)
    said = problem(observe(send, 1, 1.0), 409, "late-observation")
    assert (said["ds"], said["expected"]) == (ds(1), ds(3))


def test_a_late_one_is_applied_where_the_stream_goes_back(send: Send) -> None:
    send("PUT", "", {"rewind": 2})
    for step in (0, 1, 4):
        observe(send, step, float(step))
    said = observe(send, 2, 2.0, "?forecast=true").json()
    assert (said["late"], said["position"]) == (True, 4)
    assert said["forecast"]["ds"][0] == ds(5)
    assert observe(send, 2, 2.0).json()["duplicate"]
    problem(observe(send, -1, 1.0), 409, "late-observation")
    assert send("GET", "/snapshot").json()["history"]["ds"] == [ds(s) for s in (0, 1, 2, 4)]


def test_a_young_stream_forecasts_and_says_that_it_is_young(send: Send) -> None:
    assert send("GET", "/forecast").json()["forecast"] is None
    said = observe(send, 0, 1.0, "?forecast=true&level=80").json()
    assert said["warming"]
    assert said["forecast"]["lo-80"][0] < said["forecast"]["mean"][0] < said["forecast"]["hi-80"][0]


def test_an_unknown_stream_is_told_how_to_be_opened(client: httpx.Client) -> None:
    place = "/v1/models/load/streams/nobody"
    for answer in (
        client.post(f"{place}/observations", json={"ds": ds(0), "y": 1}),
        client.get(place),
        client.get(f"{place}/forecast"),
        client.get(f"{place}/snapshot"),
        client.delete(place),
    ):
        assert "PUT /v1/models/load/streams/" in problem(answer, 404, "unknown-stream")["detail"]
    problem(client.get("/v1/models/nothing/streams/a"), 404, "unknown-model")


def test_a_closed_stream_is_gone_and_a_put_opens_it_again(send: Send) -> None:
    observe(send, 0, 1.0)
    assert send("DELETE").json()["last_ds"] == ds(0)
    assert problem(observe(send, 1, 1.0), 410, "closed-stream")["last_ds"] == ds(0)
    problem(send("GET"), 410, "closed-stream")
    assert send("DELETE").status_code == 200
    assert send("GET", "/snapshot").json()["history"]["ds"] == [ds(0)]
    assert send("PUT").status_code == 200
    assert observe(send, 1, 1.0).json()["position"] == 2


def test_of_several_each_has_a_status_of_its_own(send: Send) -> None:
    observe(send, 0, 1.0)
    many = [(1, 2.0), (0, 9.0), (1, 2.0), (3, None), (2, 1.0)]
    observations = [{"ds": ds(step), "y": y} for step, y in many]
    observations.append({"ds": "2026-03-29T00:30Z", "y": 1})
    said = send("POST", "/observations?forecast=true", {"observations": observations}).json()
    results = said["results"]
    assert [each["status"] for each in results] == [200, 409, 200, 200, 409, 422]
    assert [each.get("position") for each in results] == [2, None, 2, 3, None, None]
    assert [each.get("duplicate") for each in results] == [False, None, True, False, None, None]
    assert results[1]["stored"] == 1.0
    assert results[4]["expected"] == ds(4)
    assert said["forecast"]["ds"][0] == ds(4)


def test_a_history_opens_a_stream(client: httpx.Client) -> None:
    place = f"/v1/models/load/streams/r{next(NAMES)}"
    y = [1.0, None, 3.0] * 300
    answer = client.put(place, json={"history": {"start": ds(0), "y": y}, "rewind": 4})
    assert answer.status_code == 201
    said = answer.json()
    assert (said["observations"], said["last_ds"], said["next_ds"]) == (900, ds(899), ds(900))
    assert (said["rewind"], said["max_gap"], said["ttl_hours"]) == (4, 24, None)
    again = {"history": {"start": ds(0), "y": y}}
    assert client.put(place, json=again).status_code == 200
    y[0] = 7.0
    problem(client.put(place, json=again), 409, "conflicting-observation")


def test_covariates_are_asked_for_by_name(client: httpx.Client) -> None:
    place = f"/v1/models/covariates/streams/r{next(NAMES)}"
    problem(client.put(place), 422, "invalid-request")
    assert client.put(place, json={"stat_exog": {"area": 3}}).status_code == 201

    def observed(step: int, exog: Any, **more: Any) -> httpx.Response:
        said = {"ds": ds(step), "y": 1, "exog": exog} | more
        return client.post(f"{place}/observations?forecast=true&h=2", json=said)

    good = {"temperature": 1, "price": None}
    assert observed(0, good).status_code == 200
    assert observed(1, good, futr_exog={"price": [1, 2]}).status_code == 200
    assert observed(1, good).json()["duplicate"]
    said = problem(observed(1, good | {"price": 2}), 409, "conflicting-observation")
    assert "covariates" in said["detail"]
    for exog in ({}, {"temperature": 1}, good | {"wind": 1}):
        problem(observed(2, exog), 422, "invalid-request")
    for futr in ({"price": [1]}, {"price": [1] * 7}, {"temperature": [1, 2]}):
        problem(observed(2, good, futr_exog=futr), 422, "invalid-request")


@pytest.mark.parametrize(
    "query",
    [
        *("h=0", "h=7", "h=-1", "h=1.5", "h=٣", "level=0", "level=100", "level=nan"),
        *("level=80&quantiles=0.5", "quantiles=0.99", "quantiles=", "timeout=0", "timeout=-1"),
        *("timeout=inf", "timeout=x", "forecast=maybe", "forecast", "x=1", "%ff=%ff"),
        "&".join(["h=1"] * 40),
    ],
)
def test_a_query_that_cannot_be_is_refused_and_changes_nothing(send: Send, query: str) -> None:
    problem(observe(send, 0, 1.0, f"?{query}"), 422, "invalid-request")
    problem(send("GET", f"/forecast?{query}"), 422, "invalid-request")
    assert send("GET").json()["observations"] == 0


def test_part_of_a_forecast_may_be_asked_for(send: Send) -> None:
    observe(send, 0, 1.0)
    said = send("GET", "/forecast?h=2&quantiles=0.9,0.1").json()["forecast"]
    assert list(said["quantiles"]) == ["0.1", "0.9"]
    assert [len(each) for each in (said["ds"], said["mean"])] == [2, 2]


def test_time_ends_without_a_fault(send: Send) -> None:
    said = send("POST", "/observations?forecast=true", {"ds": "2261-12-31T23:00Z", "y": 1})
    assert (said.status_code, said.json()["forecast"]) == (200, None)
    assert send("GET").json()["next_ds"] is None
    assert send("GET", "/forecast").json()["forecast"] is None
    assert problem(observe(send, 0, 1.0), 409, "late-observation")["expected"] is None


def test_streams_are_listed(client: httpx.Client) -> None:
    place = "/v1/models/point/streams"
    for name in ("c", "a", "b"):
        client.put(f"{place}/{name}")
    assert [each["unique_id"] for each in client.get(place).json()["streams"]] == ["a", "b", "c"]
    page = client.get(place, params={"limit": 1, "after": "a"}).json()
    assert page == {"model": "point", "streams": [{"unique_id": "b", "closed": False}]}
    for query in ("limit=0", "limit=x", "limit=1001", "limit=-1", "after=%00"):
        problem(client.get(f"{place}?{query}"), 422, "invalid-request")
