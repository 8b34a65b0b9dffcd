"""Whatever is sent, the answer is a success or a small problem, never a failure of the service."""

from __future__ import annotations

import copy
import json
from typing import Any

import httpx
import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.conftest import counted

FUZZ = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
GOOD: tuple[dict[str, Any], ...] = (
    counted(),
    counted(h=3, quantiles=[0.1, 0.5]),
    counted(level=[80], version=1),
    {
        "model": "load",
        "freq": "h",
        "timezone": "Europe/Berlin",
        "series": [
            {"unique_id": "a", "ds": ["2026-01-01T00:00Z", "2026-01-01T02:00Z"], "y": [1, None]},
            {"unique_id": "b", "start": "2026-03-29T00:00:00+00:00", "y": [1e3, -0.0, 2.5]},
        ],
    },
    {
        "model": "covariates",
        "series": [
            {
                "unique_id": "a",
                "start": "2026-01-01T00:00Z",
                "y": [1.0, 2.0],
                "exog": {"temperature": [1.0, None], "price": [1, 2]},
                "futr_exog": {"price": [1, 2, 3, 4, 5, 6]},
                "stat_exog": {"area": 3},
            }
        ],
    },
    {"model": "daily", "series": [{"unique_id": "a", "ds": ["2026-01-01T00:00Z"], "y": [0]}]},
)
# What JSON can spell and Python's own writer would not.
RAW = (
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"-1e999",
    b"1e-999",
    b"-0",
    b"-0.0",
    b"00",
    b"+1",
    b"1" + b"0" * 400,
    b"1" + b"0" * 5000,
    b"9007199254740993",
    b"-9223372036854775809",
    b"18446744073709551616",
    b"5e-324",
    b"1.7976931348623157e308",
    b"-1.7976931348623157e308",
    b"0.1e+3",
    b"true",
    b"false",
    b"null",
    b'""',
    b'"\\ud800"',
    b'"\\u0000"',
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b"[]",
    b"{}",
    b"[[]]",
    b'[{"a":[{}]}]',
    b'{"a":1,"a":2}',
    b"[" * 2000,
    b'{"":' * 500 + b"1" + b"}" * 500,
    b'"2026-02-30T00:00Z"',
    b'"0000-00-00"',
    b'"9999-12-31T23:00Z"',
    b'"2026-03-29T02:30:00"',
    b'"2026-01-01T00:00:00.0000001Z"',
    b'"1678-01-01T00:00Z"',
    b'"../../etc"',
    b'"' + b"A" * 3000 + b'"',
    b"[" + b"1," * 300 + b"1]",
    b"[" + b"null," * 300 + b"null]",
    b"",
)
Values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=3)), max_size=8),
    st.dictionaries(st.text(max_size=8), st.integers(), max_size=3),
    st.sampled_from(["UTC", "h", "champion", "latest", "load", "2026-01-01T00:00Z", "W-SUN", "a"]),
)
Names = st.one_of(
    st.sampled_from(["model", "version", "alias", "h", "level", "quantiles", "freq", "timezone"]),
    st.sampled_from(["series", "unique_id", "ds", "start", "y", "exog", "futr_exog", "stat_exog"]),
    st.text(max_size=12),
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """A good request with a few of its parts replaced, removed, added or spelled by hand."""
    body: Any = copy.deepcopy(draw(st.sampled_from(GOOD)))
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
    return text


def _places(value: Any) -> Any:
    keys = value if isinstance(value, dict) else range(len(value))
    for key in list(keys):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def check(client: httpx.Client, body: bytes, headers: dict[str, str]) -> int:
    answer = client.post("/v1/forecast", content=body, headers=headers)
    assert answer.status_code < 500, (answer.status_code, answer.text, body)
    orjson.loads(answer.content)
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code
        assert len(answer.content) < 8_000
    return answer.status_code


JSON = {"content-type": "application/json"}


@FUZZ
@given(body=bodies())
def test_a_mutated_request_is_answered(client: httpx.Client, body: bytes) -> None:
    check(client, body, JSON)


@FUZZ
@given(body=st.binary(max_size=300))
def test_any_bytes_are_answered(client: httpx.Client, body: bytes) -> None:
    assert check(client, body, JSON) in (400, 422)


@settings(FUZZ, max_examples=100)
@given(
    body=st.sampled_from([orjson.dumps(body) for body in GOOD]),
    at=st.integers(0, 400),
    new=st.binary(min_size=1, max_size=3),
)
def test_a_request_with_bytes_overwritten_is_answered(
    client: httpx.Client, body: bytes, at: int, new: bytes
) -> None:
    at %= len(body)
    check(client, body[:at] + new + body[at + len(new) :], JSON)


@settings(FUZZ, max_examples=100)
@given(
    kind=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40),
    encoding=st.sampled_from(["", "identity", "gzip", "br", "zstd", "identity, gzip"]),
)
def test_any_content_type_is_answered(client: httpx.Client, kind: str, encoding: str) -> None:
    headers = {"content-type": kind.strip(), "content-encoding": encoding}
    check(client, orjson.dumps(counted()), headers)


@settings(FUZZ, max_examples=100)
@given(path=st.text(max_size=30), query=st.text(max_size=10))
def test_any_path_is_answered(client: httpx.Client, path: str, query: str) -> None:
    for place in ("", "v1/models/", "v1/models/load/"):
        try:
            request = client.build_request("GET", f"/{place}{path}", params={"q": query})
        except (httpx.InvalidURL, UnicodeEncodeError):
            continue
        answer = client.send(request)
        assert answer.status_code < 500
        if answer.status_code != 200:
            assert answer.headers["content-type"] == "application/problem+json"


def test_every_unfuzzed_request_is_right(client: httpx.Client) -> None:
    for body in GOOD:
        assert check(client, orjson.dumps(body), JSON) == 200, body


def test_a_problem_with_ten_thousand_faults_is_small(client: httpx.Client) -> None:
    body = {"model": "steps", "series": [{"unique_id": "a", "y": ["x"] * 9_000}] * 2}
    assert check(client, orjson.dumps(body), JSON) == 422
    body = {"model": "steps", "series": [{str(i): 1 for i in range(900)}] * 10}
    assert check(client, orjson.dumps(body), JSON) == 422
