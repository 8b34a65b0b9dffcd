"""Whatever is sent to a stream, the answer is a success or a small problem, never our failure."""

from __future__ import annotations

import copy
import json
from itertools import count
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.test_fuzz import FUZZ, JSON, RAW, Values

NAMES = count()
PLACE = "/v1/models/covariates/streams"
EXOG = {"temperature": 1.0, "price": 2}
GOOD: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/observations?forecast=true", {"ds": "2026-01-01T00:00Z", "y": 1, "exog": EXOG}),
    (
        "POST",
        "/observations?forecast=true&h=2",
        {
            "observations": [
                {"ds": "2026-01-01T01:00Z", "y": 1, "exog": EXOG},
                {"ds": "2026-01-01T03:00+00:00", "y": None, "exog": EXOG},
            ],
            "futr_exog": {"price": [1, None]},
        },
    ),
    (
        "PUT",
        "",
        {
            "stat_exog": {"area": 3},
            "rewind": 5,
            "max_gap": 9,
            "ttl_hours": 5.5,
            "exact": True,
            "history": {
                "ds": ["2025-12-31T00:00Z", "2025-12-31T01:00Z"],
                "y": [1, 2],
                "exog": {"temperature": [1, None], "price": [0, 0]},
            },
        },
    ),
)
Names = st.sampled_from(
    ["ds", "y", "exog", "futr_exog", "observations", "history", "start", "rewind", "max_gap", ""]
) | st.text(max_size=8)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """A good request with a few of its parts replaced, removed, added or spelled by hand."""
    method, rest, good = draw(st.sampled_from(GOOD))
    body: Any = copy.deepcopy(good)
    raw: list[bytes] = []
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(body))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["replace", "remove", "add", "spell"])):
            case "replace":
                holder[key] = draw(Values)
            case "remove":
                del holder[key]
            case "add" if isinstance(holder, dict):
                holder[draw(Names)] = draw(Values)
            case _:
                raw.append(draw(st.sampled_from(RAW)))
                holder[key] = f"@{len(raw) - 1}@"
    text = json.dumps(body).encode()
    for number, spelled in enumerate(raw):
        text = text.replace(b'"@%d@"' % number, spelled)
    return method, rest, text


def _places(value: Any) -> Any:
    keys = value if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def check(answer: httpx.Response) -> int:
    assert answer.status_code < 500, (answer.status_code, answer.text)
    orjson.loads(answer.content)
    if answer.status_code >= 300:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
        assert len(answer.content) < 8_000
    return answer.status_code


@pytest.fixture
def stream(client: httpx.Client) -> str:
    """The path of a new stream."""
    place = f"{PLACE}/h{next(NAMES)}"
    assert client.put(place, json={"stat_exog": {"area": 3}}).status_code == 201
    return place


@FUZZ
@given(request=requests())
def test_a_mutated_request_is_answered(
    client: httpx.Client, stream: str, request: tuple[str, str, bytes]
) -> None:
    method, rest, body = request
    check(client.request(method, stream + rest, content=body, headers=JSON))
    for rest in ("", "/forecast", "/snapshot"):
        assert check(client.get(stream + rest)) in (200, 410)


@pytest.mark.parametrize("ds", ["<script>", "2026-13-01T00:00Z", "1492-01-01T00:00Z", 5, [1], None])
def test_a_time_that_is_none_is_located_and_not_echoed(
    client: httpx.Client, stream: str, ds: Any
) -> None:
    answer = client.post(stream + "/observations", json={"ds": ds, "y": 1, "exog": EXOG})
    assert check(answer) == 422
    [fault] = answer.json()["errors"]
    assert fault["field"] == "ds"
    assert "script" not in answer.text
    assert "1492" not in answer.text


@FUZZ
@given(body=st.binary(max_size=300))
def test_any_bytes_are_answered(client: httpx.Client, stream: str, body: bytes) -> None:
    for method, rest, _ in GOOD:
        status = check(client.request(method, stream + rest, content=body, headers=JSON))
        assert status in (400, 422) or not body


@settings(FUZZ, max_examples=100)
@given(name=st.text(max_size=30), query=st.text(max_size=10))
def test_any_name_is_answered(client: httpx.Client, name: str, query: str) -> None:
    for method, rest in (("PUT", ""), ("GET", ""), ("GET", "/forecast"), ("DELETE", "")):
        try:
            request = client.build_request(
                method, f"/v1/models/steps/streams/{name}{rest}", params={"h": query}
            )
        except (httpx.InvalidURL, UnicodeEncodeError):
            continue
        check(client.send(request))


@pytest.mark.parametrize("model", ["steps", "load", "daily"])
@pytest.mark.parametrize(
    "ds",
    [
        *(0, -1, 2**53, -(2**53), 2**53 + 1, 2**63, True, 1.5, None, "", "now"),
        *("1678-01-01T00:00Z", "2261-12-31T23:00Z", "2262-01-01T00:00Z", "9999-12-31T00:00Z"),
        *("2026-01-01", "2026-01-01T00:00", "2026-01-01T00:00:00.000000001Z", "2" * 64, "2" * 65),
    ],
)
def test_any_time_is_answered(client: httpx.Client, model: str, ds: object) -> None:
    place = f"/v1/models/{model}/streams/h{next(NAMES)}"
    assert check(client.put(place)) == 201
    observed = {"ds": ds, "y": 1}
    for body in (observed, observed, {"observations": [observed, observed]}):
        check(client.post(f"{place}/observations?forecast=true", json=body))
    check(client.put(place, json={"history": {"start": ds, "y": [1, 2]}}))
    for rest in ("", "/forecast", "/snapshot"):
        assert check(client.get(place + rest)) == 200


@pytest.mark.parametrize("name", ["%00", "%ff", "a%2Fb", "..", "%0a", "a" * 257, "%f0%9f%98%80"])
def test_no_name_breaks_anything(client: httpx.Client, name: str) -> None:
    for method, rest in (("PUT", ""), ("GET", ""), ("GET", "/snapshot"), ("DELETE", "")):
        check(client.request(method, f"/v1/models/steps/streams/{name}{rest}"))


def test_every_unfuzzed_request_is_right(client: httpx.Client, stream: str) -> None:
    for method, rest, body in reversed(GOOD):
        answer = client.request(method, stream + rest, content=orjson.dumps(body), headers=JSON)
        assert check(answer) == 200 or body is GOOD[0][2], answer.text
