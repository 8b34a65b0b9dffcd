from typing import Any

import httpx
import pytest

from service.app import create_app
from service.examples import FORECAST_ANSWER, FORECAST_REQUEST, LEVEL_REQUEST, PROBLEM
from service.forecast_answer import ForecastAnswer
from service.forecast_request import ForecastRequest
from service.problems import Problem
from store.settings import Settings


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    answer = client.get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_making_an_application_starts_and_writes_nothing(tmp_path: Any) -> None:
    create_app(Settings(var=tmp_path / "var"))
    assert not (tmp_path / "var").exists()


def test_every_route_is_described(document: dict[str, Any]) -> None:
    assert set(document["paths"]) == {
        "/v1/forecast",
        "/v1/models",
        "/v1/models/{model}",
        "/v1/models/{model}/scores",
        "/v1/models/{model}/versions",
        "/v1/models/{model}/compare",
        "/v1/models/{model}/promote",
        "/v1/models/{model}/rollback",
        "/v1/models/{model}/retrain",
        "/v1/models/{model}/schedule",
        "/v1/runs",
        "/v1/runs/{run}",
        "/v1/runs/{run}/cancel",
        "/v1/models/{model}/observations",
        "/v1/models/{model}/streams",
        "/v1/models/{model}/streams/{unique_id}",
        "/v1/models/{model}/streams/{unique_id}/events",
        "/v1/models/{model}/streams/{unique_id}/forecast",
        "/v1/models/{model}/streams/{unique_id}/observations",
        "/v1/models/{model}/streams/{unique_id}/snapshot",
        "/livez",
        "/metrics",
        "/readyz",
        "/version",
    }
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["summary"]
            assert operation["description"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    names = {ref.removeprefix("#/components/schemas/") for ref in _references(document)}
    assert names <= set(schemas)
    assert {"ForecastRequest", "SeriesBody", "ForecastAnswer", "Problem", "Fault"} <= names


def test_every_error_is_described_as_a_problem(document: dict[str, Any]) -> None:
    for name, path in document["paths"].items():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                if status >= "400" and name != "/readyz":
                    assert list(answer["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_fields_of_a_request_are_explained(document: dict[str, Any]) -> None:
    for name in ("ForecastRequest", "SeriesBody"):
        for field, schema in document["components"]["schemas"][name]["properties"].items():
            assert schema.get("description"), f"{name}.{field}"


def test_the_examples_are_what_they_show(document: dict[str, Any]) -> None:
    for example in (FORECAST_REQUEST, LEVEL_REQUEST):
        ForecastRequest.model_validate(example)
    ForecastAnswer.model_validate(FORECAST_ANSWER)
    Problem.model_validate(PROBLEM)
    body = document["paths"]["/v1/forecast"]["post"]["requestBody"]
    shown = body["content"]["application/json"]["examples"]
    assert shown["quantiles"]["value"] == FORECAST_REQUEST


@pytest.mark.parametrize("example", [FORECAST_REQUEST, LEVEL_REQUEST])
def test_the_examples_are_answered(client: httpx.Client, example: dict[str, Any]) -> None:
    answer = client.post("/v1/forecast", json=example | {"model": "load"})
    assert answer.status_code == 200, answer.text
    ForecastAnswer.model_validate(answer.json())


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(_references, value.values()))
    if isinstance(value, list):
        return set().union(*map(_references, value))
    return set()
