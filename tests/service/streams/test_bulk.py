"""Many streams in one request, over a real socket."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

NDJSON = {"content-type": "application/x-ndjson"}


def line(unique_id: str, hour: int, y: float | None = 1.0, **more: Any) -> dict[str, Any]:
    ds = f"2026-01-{1 + hour // 24:02d}T{hour % 24:02d}:00:00Z"
    return {"unique_id": unique_id, "ds": ds, "y": y} | more


def body(*lines: dict[str, Any] | bytes) -> bytes:
    return b"\n".join(each if isinstance(each, bytes) else orjson.dumps(each) for each in lines)


def send(
    client: httpx.Client, content: bytes, query: str = "", model: str = "load"
) -> list[dict[str, Any]]:
    path = f"/v1/models/{model}/observations{query}"
    answer = client.post(path, content=content, headers=NDJSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [orjson.loads(each) for each in answer.content.splitlines()]


def test_each_line_is_answered_in_order(client: httpx.Client) -> None:
    lines = [line("order-a", 0), line("order-b", 5), line("order-a", 1), line("order-a", 4)]
    results = send(client, body(*lines), "?open=true")
    assert [result["unique_id"] for result in results] == [each["unique_id"] for each in lines]
    assert results[3] == {
        "unique_id": "order-a",
        "status": 200,
        "ds": "2026-01-01T04:00:00+00:00",
        "position": 3,
        "duplicate": False,
        "late": False,
        "missing": 2,
    }
    again = send(client, body(*lines))
    assert all(result["duplicate"] for result in again)
    assert [result["position"] for result in again] == [1, 1, 2, 3]


@pytest.mark.parametrize(
    ("bad", "status", "field"),
    [
        (b"no json", 400, None),
        (b'{"unique_id":"bad","ds":"2026-01-01T00:00:00Z","y":1', 400, None),
        (b'{"unique_id":"bad","ds":"2026-01-01T00:00:00Z","y":1}{}', 400, None),
        (b'{"unique_id":"bad\xff","ds":"2026-01-01T00:00:00Z","y":1}', 400, None),
        (b"[" * 5_000, 400, None),
        (b'{"unique_id":"' + b"x" * 140_000 + b'"}', 413, None),
        (b"[1]", 422, "body"),
        (b'{"unique_id":"bad","ds":"2026-01-01T00:00:00Z","y":1,"y":1}', 422, "body"),
        (b'{"unique_id":"bad","ds":"2026-01-01T00:00:00Z","y":1,"\\u0079":1}', 422, "body"),
        (b'{"unique_id":"bad","ds":"2026-01-01T00:00:00Z","y":NaN}', 422, "body"),
        (b'{"unique_id":"bad","ds":"2026-01-01T00:00:00Z","y":1e999}', 422, "y"),
        (b'{"unique_id":"bad","ds":"2026-01-01T00:00:00Z","y":1.1e17}', 422, "y"),
        (b'{"unique_id":"bad","ds":"2026-01-01T00:00:00Z","y":true}', 422, "y"),
        (b'{"unique_id":"bad","ds":"2026-01-01T00:00:00Z"}', 422, "y"),
        (b'{"unique_id":"bad","ds":"2026-01-01T00:00:00Z","y":1,"z":1}', 422, "z"),
        (b'{"unique_id":"bad","ds":"2026-01-01T00:00:00","y":1}', 422, "ds"),
        (b'{"unique_id":"bad","ds":"2026-02-30T00:00:00Z","y":1}', 422, "ds"),
        (b'{"unique_id":"bad","ds":"1066-01-01T00:00:00Z","y":1}', 422, "ds"),
        (b'{"unique_id":"bad","ds":"classified","y":1}', 422, "ds"),
        (b'{"unique_id":"bad","ds":7,"y":1}', 422, "ds"),
        (b'{"unique_id":"bad","ds":[],"y":1}', 422, "ds"),
        (b'{"unique_id":"bad","y":1}', 422, "ds"),
        (b'{"unique_id":"","ds":"2026-01-01T00:00:00Z","y":1}', 422, "unique_id"),
        (b'{"unique_id":"a\\u0007","ds":"2026-01-01T00:00:00Z","y":1}', 422, "unique_id"),
        (b'{"unique_id":7,"ds":"2026-01-01T00:00:00Z","y":1}', 422, "unique_id"),
        (b'{"unique_id":"bad","ds":"2026-01-01T00:00:00Z","y":1,"exog":{"t":1}}', 422, "exog"),
    ],
)
def test_a_bad_line_does_not_sink_the_others(
    client: httpx.Client, bad: bytes, status: int, field: str | None
) -> None:
    good = line("steady", 0)
    first, refused, last = send(client, body(good, bad, line("steady", 0)), "?open=true")
    assert first["status"] == last["status"] == 200
    assert refused["status"] == status
    assert refused["type"].startswith("urn:gatecast:problem:")
    if field is not None:
        assert field in [fault["field"] for fault in refused["errors"]]
    assert "classified" not in str(refused)
    assert client.get("/v1/models/load/streams/bad").status_code == 404


def test_blank_lines_are_left_out(client: httpx.Client) -> None:
    content = b"\n\r\n" + body(line("blank", 0)) + b"\r\n \n" + body(line("blank", 1)) + b"\n"
    assert [each["position"] for each in send(client, content, "?open=true")] == [1, 2]
    assert send(client, b"") == []


def test_refusals_of_a_stream_are_its_own(client: httpx.Client) -> None:
    for name in ("own-open", "own-closed"):
        send(client, body(line(name, 3)), "?open=true")
    client.delete("/v1/models/load/streams/own-closed")
    lines = [
        line("own-open", 4),
        line("own-closed", 4),
        line("own-nobody", 4),
        line("own-open", 3, 2.0),
        line("own-open", 1),
        line("own-open", 5) | {"ds": "2026-01-01T05:30:00Z"},
        line("own-open", 5),
    ]
    results = send(client, body(*lines))
    assert [result["status"] for result in results] == [200, 410, 404, 409, 409, 422, 200]
    assert "PUT" in results[2]["detail"]
    assert (results[3]["stored"], results[3]["given"]) == (1.0, 2.0)
    assert results[4]["expected"] == "2026-01-01T06:00:00+00:00"
    assert send(client, body(line("own-closed", 4)), "?open=true")[0]["status"] == 410


def test_unknown_streams_are_opened_only_if_asked(client: httpx.Client) -> None:
    content = body(line("new-a", 0), line("new-b", 0), line("new-a", 1))
    assert {result["status"] for result in send(client, content)} == {404}
    assert {result["status"] for result in send(client, content, "?open=false")} == {404}
    assert {result["status"] for result in send(client, content, "?open=true")} == {200}
    assert client.get("/v1/models/load/streams/new-a").json()["observations"] == 2


def test_streams_with_fixed_covariates_are_not_opened_in_passing(client: httpx.Client) -> None:
    one = line("fixed", 0, exog={"temperature": 1.0, "price": 2.0})
    path = "/v1/models/covariates/observations?open=true"
    answer = client.post(path, content=body(one), headers=NDJSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "open"


def test_covariates_are_those_of_the_model(client: httpx.Client) -> None:
    streams = "/v1/models/covariates/streams"
    client.put(f"{streams}/exog", json={"stat_exog": {"area": 3.0}})
    right = line("exog", 0, exog={"price": 2, "temperature": None})
    lines = [
        right,
        line("exog", 1, exog={"price": 2}),
        line("exog", 1),
        line("exog", 1, exog={"price": 2, "temperature": None, "other": 1}),
        line("exog", 1, exog={"price": 1e39, "temperature": None}),
        right,
    ]
    results = send(client, body(*lines), model="covariates")
    assert [result["status"] for result in results] == [200, 422, 422, 422, 422, 200]
    assert results[5]["duplicate"]
    kept = client.get(f"{streams}/exog/snapshot").json()["history"]["exog"]
    assert kept == {"price": [2.0], "temperature": [None]}


def test_the_last_line_taken_of_each_stream_has_the_forecast(client: httpx.Client) -> None:
    lines = [line("last-a", h, float(h % 5)) for h in range(30)]
    lines += [line("last-b", 0, 2.0), line("last-a", 29, 7.0), line("last-b", 1, 3.0)]
    results = send(client, body(*lines), "?open=true&forecast=true&h=2&level=80")
    places = [place for place, result in enumerate(results) if "forecast" in result]
    assert places == [29, 32]
    for place in places:
        name = results[place]["unique_id"]
        path = f"/v1/models/load/streams/{name}/forecast?h=2&level=80"
        now = client.get(path).json()
        for member in ("version", "warming"):
            assert results[place][member] == now[member]
        assert results[place]["forecast"]["ds"] == now["forecast"]["ds"]
        for member in ("mean", "lo-80", "hi-80"):
            assert results[place]["forecast"][member] == pytest.approx(
                now["forecast"][member], rel=1e-5
            )
    assert [results[place]["warming"] for place in places] == [False, True]


def test_json_has_the_same_results(client: httpx.Client) -> None:
    path = "/v1/models/steps/observations?open=true"
    lines = [
        {"unique_id": "json", "ds": 1, "y": 2},
        {"unique_id": "json", "ds": 2.5, "y": 2},
        {"unique_id": 'a "quoted" \\ name', "ds": 1, "y": None},
        {"unique_id": "json", "ds": 2**53 + 1, "y": 1},
        {"unique_id": "json", "ds": 3, "y": 1},
    ]
    answer = client.post(path, json={"observations": lines})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    said = answer.json()
    assert (said["model"], said["version"]) == ("steps", "1")
    assert [result["status"] for result in said["results"]] == [200, 422, 200, 422, 200]
    assert said["results"][4]["missing"] == 1
    again = send(client, body(*lines), model="steps")
    assert [each["status"] for each in again] == [200, 422, 200, 422, 200]
    assert [each["position"] for each in again if each["status"] == 200] == [1, 1, 2]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"observations":{}}', 422),
        (b'{"observations":[],"more":1}', 422),
        (b'{"observations":[],"observations":[]}', 422),
        (b'{"observations":[{"unique_id":"j","ds":1,"y":1,"y":1}]}', 422),
        (b'{"observations":[{"unique_id":"j","ds":1,"y":NaN}]}', 422),
        (b'{"observations":[' + b"{}," * 5_000 + b"{}" + b"]}", 200),
        (b'{"observations":[' + b"[]," * 5_000 + b"[]" + b"]}", 200),
        (b"[" * 150_000, 413),
    ],
)
def test_json_that_is_none_is_refused_as_a_whole(
    client: httpx.Client, content: bytes, status: int
) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/models/steps/observations", content=content, headers=headers)
    assert answer.status_code == status


def test_more_observations_than_512_of_a_stream_are_taken(client: httpx.Client) -> None:
    lines = [line("long", h, float(h % 24)) for h in range(600)]
    results = send(client, body(*lines), "?open=true&forecast=true&h=1")
    assert [result["position"] for result in results] == list(range(1, 601))
    now = client.get("/v1/models/load/streams/long/forecast?h=1").json()
    assert results[-1]["forecast"]["mean"] == pytest.approx(now["forecast"]["mean"], rel=1e-5)


def test_too_many_observations_are_413(client: httpx.Client) -> None:
    path = "/v1/models/load/observations"
    answer = client.post(path, content=b"\n" * 100_001, headers=NDJSON)
    assert answer.status_code == 413
    answer = client.post(path, content=b" " * 300_000, headers=NDJSON)
    assert answer.status_code == 413


def test_too_many_forecasts_are_413_and_change_nothing(client: httpx.Client) -> None:
    content = body(*[line(f"many-{i}", 0) for i in range(400)])
    path = "/v1/models/load/observations?open=true&forecast=true"
    answer = client.post(path, content=content, headers=NDJSON)
    assert answer.status_code == 413
    assert client.get("/v1/models/load/streams/many-0").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-ndjson; charset=latin-1"},
        {"content-type": "application/x-ndjson", "content-encoding": "gzip"},
        {},
    ],
)
def test_other_bodies_are_415(client: httpx.Client, headers: dict[str, str]) -> None:
    path = "/v1/models/load/observations"
    assert client.post(path, content=b"{}", headers=headers).status_code == 415


@pytest.mark.parametrize("query", ["open=yes", "open=", "h=7", "level=80&quantiles=0.5", "x=1"])
def test_queries_that_are_none_are_422(client: httpx.Client, query: str) -> None:
    path = f"/v1/models/load/observations?{query}"
    assert client.post(path, content=b"", headers=NDJSON).status_code == 422


def test_a_query_of_any_length_is_answered(client: httpx.Client) -> None:
    for path in ("/v1/models/load/observations", "/v1/models/load/streams/any/observations"):
        answer = client.post(f"{path}?" + "&".join(["h=1"] * 20), content=b"{}", headers=NDJSON)
        assert answer.status_code == 422


def test_an_unknown_model_is_404(client: httpx.Client) -> None:
    path = "/v1/models/nobody/observations"
    assert client.post(path, content=b"", headers=NDJSON).status_code == 404


def test_the_route_is_described(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    said = document["paths"]["/v1/models/{model}/observations"]["post"]
    assert len(said["requestBody"]["content"]) == len(said["responses"]["200"]["content"]) == 3
    names = {parameter["name"] for parameter in said["parameters"]}
    assert names >= {"forecast", "open", "h", "level", "quantiles", "timeout"}
    assert "model" in names
    schemas = document["components"]["schemas"]
    for name in ("StreamObservation", "StreamObservations", "ObservationResult", "StreamResults"):
        assert name in schemas
