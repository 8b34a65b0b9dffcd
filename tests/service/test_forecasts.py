"""`POST /v1/forecast` over a real socket, held against the forecaster itself."""

from __future__ import annotations

import concurrent.futures
import gzip
import time
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from models.context import Context
from models.forecaster import new_forecaster
from models.predict import predict
from models.spec import Spec
from tests.service.conftest import COVARIATES, counted
from tests.service.registries import COUNTED, EmbeddedRegistry, spec
from tests.service.running import eventually


def forecast(client: httpx.Client, body: Any) -> Any:
    answer = client.post("/v1/forecast", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def refused(client: httpx.Client, body: Any, status: int) -> Any:
    answer = client.post("/v1/forecast", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    return answer.json()


def expected(spec: Spec, y: list[float | None], h: int | None = None) -> Any:
    """(h or horizon, outputs) of the untrained forecaster that the registry holds."""
    context = Context(
        y=np.array(y, np.float64),
        exog=np.zeros((len(y), 0), np.float32),
        futr=np.zeros((spec.horizon, 0), np.float32),
        stat=np.zeros(0, np.float32),
        ahead=np.zeros((h or 0, 0), np.float32),
    )
    return predict(new_forecaster(spec, 0), [context], h=h)[0]


def test_the_answer_holds_the_forecasters_numbers(client: httpx.Client) -> None:
    body = counted()
    answer = forecast(client, body)
    values = expected(spec(timeline=COUNTED), body["series"][0]["y"])
    assert (answer["model"], answer["version"]) == ("steps", "1")
    [series] = answer["forecasts"]
    assert series["unique_id"] == "A"
    assert series["ds"] == [32, 33, 34, 35, 36, 37]
    assert list(series["quantiles"]) == [f"{q:g}" for q in spec().quantiles]
    np.testing.assert_allclose(list(series["quantiles"].values()), values.T, rtol=1e-5)
    assert series["mean"] == series["quantiles"]["0.5"]


def test_series_are_answered_in_their_order_however_long_they_are(client: httpx.Client) -> None:
    lengths = [30, 500, 31, 90, 4, 200]
    ys = [[100.0 + (i * k) % 7 for k in range(n)] for i, n in enumerate(lengths)]
    series = [{"unique_id": f"S{i}", "y": y} for i, y in enumerate(ys)]
    answer = forecast(client, {"model": "steps", "quantiles": [0.5], "series": series})
    for one, y, forecasts in zip(series, ys, answer["forecasts"], strict=True):
        assert forecasts["unique_id"] == one["unique_id"]
        assert forecasts["ds"][0] == len(y)
        median = expected(spec(timeline=COUNTED), list(y))[:, 5]
        np.testing.assert_allclose(forecasts["mean"], median, rtol=1e-5)


def test_more_steps_than_were_trained_for_are_fed_back_and_widen(client: httpx.Client) -> None:
    body = counted(h=15)
    series = forecast(client, body)["forecasts"][0]
    assert series["ds"] == list(range(32, 47))
    values = expected(spec(timeline=COUNTED), body["series"][0]["y"], 15)
    np.testing.assert_allclose(list(series["quantiles"].values()), values.T, rtol=1e-5)
    own = forecast(client, counted())["forecasts"][0]
    assert series["mean"][:6] == own["mean"]
    low, high = np.array(series["quantiles"]["0.1"]), np.array(series["quantiles"]["0.9"])
    assert ((high - low)[6:12] > (high - low)[:6]).all()
    problem = refused(client, counted(h=4097), 422)
    assert problem["errors"][0]["field"] == "h"


def test_fewer_steps_are_the_first_of_all(client: httpx.Client) -> None:
    whole = forecast(client, counted())["forecasts"][0]
    part = forecast(client, counted(h=2))["forecasts"][0]
    assert part["ds"] == whole["ds"][:2]
    assert part["mean"] == whole["mean"][:2]


def test_quantiles_asked_for_are_answered_ascending_and_interpolated(client: httpx.Client) -> None:
    whole = forecast(client, counted())["forecasts"][0]["quantiles"]
    asked = forecast(client, counted(quantiles=[0.9, 0.25, 0.9]))["forecasts"][0]["quantiles"]
    assert list(asked) == ["0.25", "0.9"]
    assert asked["0.9"] == whole["0.9"]
    between = (np.array(whole["0.2"]) + np.array(whole["0.3"])) / 2
    np.testing.assert_allclose(asked["0.25"], between)


def test_levels_are_answered_as_interval_bounds(client: httpx.Client) -> None:
    whole = forecast(client, counted())["forecasts"][0]["quantiles"]
    series = forecast(client, counted(level=[80, 95]))["forecasts"][0]
    assert set(series) == {"unique_id", "ds", "mean", "lo-80", "hi-80", "lo-95", "hi-95"}
    for name, quantile in (("lo-80", "0.1"), ("hi-80", "0.9"), ("lo-95", "0.025")):
        np.testing.assert_allclose(series[name], whole[quantile])


def test_a_point_model_answers_points_only(client: httpx.Client) -> None:
    series = forecast(client, counted("point"))["forecasts"][0]
    assert set(series) == {"unique_id", "ds", "mean"}
    assert len(series["mean"]) == 6
    for asked in ({"quantiles": [0.5]}, {"level": [80]}):
        problem = refused(client, counted("point", **asked), 422)
        assert "no quantiles" in problem["errors"][0]["reason"]


def test_covariates_reach_the_forecaster(client: httpx.Client) -> None:
    def body(price: float) -> dict[str, Any]:
        return {
            "model": "covariates",
            "series": [
                {
                    "unique_id": "A",
                    "start": "2026-01-01T00:00Z",
                    "y": [1.0, 2.0, 3.0],
                    "exog": {"temperature": [20, 21, None], "price": [1, 2, 3]},
                    "futr_exog": {"price": [price] * COVARIATES.horizon},
                    "stat_exog": {"area": 3},
                }
            ],
        }

    cheap, dear = (forecast(client, body(price))["forecasts"][0]["mean"] for price in (1.0, 9.0))
    assert cheap != dear


def test_a_version_can_be_named_by_number_and_by_alias(
    client: httpx.Client, registry: EmbeddedRegistry
) -> None:
    registry.register("several", spec(timeline=COUNTED), seed=1)
    second = registry.register("several", spec(timeline=COUNTED), seed=2, champion=False)
    registry.alias("several", "challenger", second)

    def both_are_known() -> bool:
        model = client.get("/v1/models/several").json()
        return model.get("state") == "serving" and "challenger" in model["aliases"]

    eventually(both_are_known)
    champion = forecast(client, counted("several"))
    assert champion["version"] == "1"
    assert forecast(client, counted("several", alias="champion")) == champion
    assert forecast(client, counted("several", version=1)) == champion
    other = forecast(client, counted("several", version="2"))
    assert other["version"] == "2"
    assert other["forecasts"] != champion["forecasts"]
    assert forecast(client, counted("several", alias="challenger")) == other
    refused(client, counted("several", version="3"), 404)
    refused(client, counted("several", alias="retired"), 404)


def test_an_unknown_model_is_not_found(client: httpx.Client) -> None:
    problem = refused(client, counted("nothing"), 404)
    assert problem["type"] == "urn:gatecast:problem:unknown-model"


@pytest.mark.parametrize(
    ("fields", "field", "limit"),
    [
        ({"quantiles": [0.99]}, "quantiles", "0.025 and 0.975"),
        ({"level": [99]}, "level", "at most 95 percent"),
    ],
)
def test_what_the_model_was_not_trained_for_is_refused_with_the_limit(
    client: httpx.Client, fields: dict[str, Any], field: str, limit: str
) -> None:
    [error] = refused(client, counted(**fields), 422)["errors"]
    assert error["field"] == field
    assert limit in error["reason"]


def test_values_too_large_to_forecast_are_a_fault_of_the_request(client: httpx.Client) -> None:
    series = [
        {"unique_id": "small", "y": [1.0, 2.0, 3.0]},
        {"unique_id": "vast", "y": [1e308, -1e308, 1e308]},
    ]
    [error] = refused(client, {"model": "steps", "series": series}, 422)["errors"]
    assert (error["series"], error["field"]) == ("vast", "y")


@pytest.mark.parametrize(
    "body",
    [
        counted(h=1) | {"series": [{"unique_id": str(i), "y": [1]} for i in range(51)]},
        {"model": "steps", "series": [{"unique_id": str(i), "y": [1] * 4500} for i in range(5)]},
        {"model": "steps", "series": [{"unique_id": "a", "y": [1.0] * 60_000}]},
    ],
)
def test_more_than_the_settings_allow_is_too_large(client: httpx.Client, body: Any) -> None:
    refused(client, body, 413)


def test_an_answer_with_too_many_numbers_is_not_computed(client: httpx.Client) -> None:
    series = [{"unique_id": str(i), "y": [1.0]} for i in range(50)]
    levels = [q / 110 for q in range(4, 100)]
    body = {"model": "steps", "quantiles": levels, "series": series}
    assert "20000 numbers" in refused(client, body, 413)["detail"]


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({}, orjson.dumps(counted())),
        ({"content-type": "text/plain"}, orjson.dumps(counted())),
        ({"content-type": "application/json; charset=latin-1"}, orjson.dumps(counted())),
        (
            {"content-type": "application/json", "content-encoding": "gzip"},
            gzip.compress(orjson.dumps(counted()), mtime=0),  # the same in every process
        ),
    ],
)
def test_only_plain_json_is_read(
    client: httpx.Client, headers: dict[str, str], content: bytes
) -> None:
    answer = client.post("/v1/forecast", content=content, headers=headers)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"


def test_utf_8_may_be_said(client: httpx.Client) -> None:
    content, kind = orjson.dumps(counted()), 'application/json; charset="UTF-8"'
    answer = client.post("/v1/forecast", content=content, headers={"content-type": kind})
    assert answer.status_code == 200


def test_names_come_back_as_they_were_written(client: httpx.Client) -> None:
    name = 'ψ "quoted" \\ </script> 😀'
    body = counted() | {"series": [{"unique_id": name, "y": [1.0, 2.0]}]}
    assert forecast(client, body)["forecasts"][0]["unique_id"] == name


def test_concurrent_requests_are_not_mixed_up(client: httpx.Client) -> None:
    def ask(i: int) -> tuple[list[float], Any]:
        y = [float(100 + (k * i) % 11) for k in range(40 + i)]
        body = {"model": "steps", "series": [{"unique_id": f"S{i}", "y": y}]}
        return y, forecast(client, body)["forecasts"][0]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for i, (y, series) in enumerate(pool.map(ask, range(1, 65)), start=1):
            assert series["unique_id"] == f"S{i}"
            values = expected(spec(timeline=COUNTED), list(y))
            np.testing.assert_allclose(series["mean"], values[:, 5], rtol=1e-4)


def test_clients_who_leave_do_no_harm(url: str, client: httpx.Client) -> None:
    body = {
        "model": "steps",
        "series": [{"unique_id": str(i), "y": [1.0] * 900} for i in range(20)],
    }
    for _ in range(5):
        with pytest.raises(httpx.TimeoutException):
            httpx.post(f"{url}/v1/forecast", json=body, timeout=0.002)
    began = time.monotonic()
    assert forecast(client, counted())["forecasts"]
    assert time.monotonic() - began < 5
