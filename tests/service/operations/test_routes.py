"""The closed loop over HTTP: a real registry, a real store and our real commands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from store.settings import Settings
from tests.service.registries import EmbeddedRegistry, spec
from tests.service.running import eventually, ready, running

TOKEN = "let me in"  # noqa: S105
OPERATOR = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service of one task with two versions, the first its champion."""
    settings = Settings(
        var=tmp_path_factory.mktemp("operations"),
        port=0,
        poll_seconds=0.2,
        log_level="error",
        operations_token=SecretStr(TOKEN),
    )
    registry = EmbeddedRegistry(settings)
    registry.register("steps", spec())
    registry.register("steps", spec(), seed=1, champion=False)
    with running(settings) as url:
        ready(url)
        with httpx.Client(base_url=url, timeout=90) as made:
            yield made


def champion(client: httpx.Client) -> str:
    return str(client.get("/v1/models/steps").json()["champion"]["version"])


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = answer.json()
    return said


@pytest.mark.slow
def test_a_version_is_promoted_through_the_gate_or_by_force_and_rolled_back(
    client: httpx.Client,
) -> None:
    place = "/v1/models/steps/promote"
    refused = problem(client.post(place, json={"version": 2}, headers=OPERATOR), 409)
    assert refused["type"].endswith("promotion-refused")
    assert any(not reason["passed"] for reason in refused["reasons"])
    assert champion(client) == "1"
    forced = {"version": 2, "force": True, "reason": "--json is no option here", "by": "ops"}
    done = client.post(place, json=forced, headers=OPERATOR)
    assert done.status_code == 200, done.text
    assert (done.json()["champion"], done.json()["previous"]) == (2, 1)
    eventually(lambda: champion(client) == "2")
    back = client.post("/v1/models/steps/rollback", headers=OPERATOR)
    assert back.status_code == 200, back.text
    assert back.json()["champion"] == 1
    eventually(lambda: champion(client) == "1")


@pytest.mark.slow
def test_versions_are_compared(client: httpx.Client) -> None:
    answer = client.get("/v1/models/steps/compare?versions=1,2")
    assert answer.status_code == 200, answer.text
    assert "1" in answer.text
    assert problem(client.get("/v1/models/steps/compare?versions=x"), 422)


@pytest.mark.long
@pytest.mark.slow
def test_a_version_that_is_not_there_is_named(client: httpx.Client) -> None:
    answer = client.post("/v1/models/steps/promote", json={"version": 99}, headers=OPERATOR)
    assert problem(answer, 404)["type"].endswith("unknown-version")


@pytest.mark.parametrize(
    "body", [{}, {"version": 0}, {"version": 2, "force": True}, {"version": 2, "reason": "a\nb"}]
)
def test_what_is_no_promotion_is_refused(client: httpx.Client, body: dict[str, Any]) -> None:
    problem(client.post("/v1/models/steps/promote", json=body, headers=OPERATOR), 422)


def test_a_schedule_is_set_and_read(client: httpx.Client) -> None:
    place = "/v1/models/steps/schedule"
    problem(client.get(place), 404)
    said = {"cron": "0 3 * * *", "timezone": "Europe/Berlin", "on_drift": True}
    made = client.put(place, json=said, headers=OPERATOR)
    assert made.status_code == 200, made.text
    assert client.get(place).json() == made.json()
    assert made.json()["source"] == "log"
    assert made.json()["next_due"][11:16] == "03:00"
    wrong = problem(client.put(place, json={"cron": "99 * * * *"}, headers=OPERATOR), 422)
    assert wrong["errors"][0]["field"] == "cron"


def test_a_retraining_is_queued_once_listed_and_cancelled(client: httpx.Client) -> None:
    first = client.post("/v1/models/steps/retrain", headers=OPERATOR)
    assert first.status_code == 202, first.text
    run = first.json()
    assert first.headers["location"] == f"/v1/runs/{run['id']}"
    assert (run["status"], run["trigger"], run["asked_by"]) == ("queued", "manual", "http")
    again = client.post("/v1/models/steps/retrain", json={"by": "me"}, headers=OPERATOR).json()
    assert again["id"] == run["id"]
    assert [each["id"] for each in client.get("/v1/runs?model=steps").json()["runs"]] == [run["id"]]
    assert client.get(f"/v1/runs/{run['id']}").json()["log"] == []
    ended = client.post(f"/v1/runs/{run['id']}/cancel", headers=OPERATOR)
    assert ended.json()["status"] == "cancelled"
    problem(client.get("/v1/runs/999"), 404)


@pytest.mark.parametrize("given", [None, "Bearer other", f"Basic {TOKEN}", "Bearer"])
def test_without_the_token_nothing_is_changed(client: httpx.Client, given: str | None) -> None:
    headers = {} if given is None else {"authorization": given}
    for method, place in (
        ("POST", "/v1/models/steps/promote"),
        ("POST", "/v1/models/steps/rollback"),
        ("POST", "/v1/models/steps/retrain"),
        ("PUT", "/v1/models/steps/schedule"),
        ("POST", "/v1/runs/1/cancel"),
    ):
        answer = client.request(method, place, json={}, headers=headers)
        assert problem(answer, 401)["type"].endswith("not-an-operator")
        assert TOKEN not in answer.text


def test_a_task_that_is_not_served_has_no_operations(client: httpx.Client) -> None:
    for method, place in (("POST", "retrain"), ("GET", "compare"), ("GET", "schedule")):
        answer = client.request(method, f"/v1/models/nothing/{place}", headers=OPERATOR)
        assert problem(answer, 404)["type"].endswith("unknown-model")
