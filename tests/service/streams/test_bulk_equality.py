"""Many observations at once are the same observations one by one."""

from __future__ import annotations

import itertools
from typing import Any

import httpx
import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.streams.test_bulk_arrow import ARROW, rows, stream

_NUMBERS = itertools.count()
_NAMES = ("a", "b", "c")
_REWIND = {"a": 0, "b": 0, "c": 3}

Observation = tuple[str, int, float | None]

observations = st.lists(
    st.tuples(
        st.sampled_from(_NAMES),
        st.one_of(st.integers(0, 12), st.integers(0, 60)),
        st.sampled_from([None, 1.0, 2.0, 3.5]),
    ),
    max_size=25,
)


def one_by_one(client: httpx.Client, prefix: str, given: list[Observation]) -> list[dict[str, Any]]:
    results = []
    for name, ds, y in given:
        path = f"/v1/models/steps/streams/{prefix}{name}/observations"
        answer = client.post(path, json={"ds": ds, "y": y})
        said = answer.json() | {"status": answer.status_code}
        results.append(said)
    return results


def at_once(
    client: httpx.Client, prefix: str, given: list[Observation], media: str
) -> list[dict[str, Any]]:
    path, headers = "/v1/models/steps/observations", {"content-type": media}
    lines = [{"unique_id": prefix + name, "ds": ds, "y": y} for name, ds, y in given]
    if media == ARROW:
        kinds = {"unique_id": pa.string(), "ds": pa.int64(), "y": pa.float64()}
        table = pa.table(
            {name: pa.array([each[name] for each in lines], kind) for name, kind in kinds.items()}
        )
        return rows(client.post(path, content=stream(table), headers=headers))
    if media == "application/json":
        answer = client.post(path, json={"observations": lines})
        found: list[dict[str, Any]] = answer.json()["results"]
        return found
    content = b"\n".join(map(orjson.dumps, lines))
    answer = client.post(path, content=content, headers=headers)
    return [orjson.loads(each) for each in answer.content.splitlines()]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    parts=st.lists(observations, min_size=1, max_size=3),
    media=st.sampled_from(["application/x-ndjson", "application/json", ARROW]),
)
def test_bulk_is_one_by_one(
    client: httpx.Client, parts: list[list[Observation]], media: str
) -> None:
    number = next(_NUMBERS)
    single, bulk = f"single-{number}-", f"bulk-{number}-"
    for prefix, name in itertools.product((single, bulk), _NAMES):
        path = f"/v1/models/steps/streams/{prefix}{name}"
        body = {"rewind": _REWIND[name], "max_gap": 10}
        assert client.put(path, json=body).status_code == 201
    members = ["status", "position", "missing", "late", "duplicate", "type"]
    if media != ARROW:
        members += ["ds", "stored", "given"]
    for part in parts:
        expected, found = one_by_one(client, single, part), at_once(client, bulk, part, media)
        for wanted, result in zip(expected, found, strict=True):
            assert {key: result.get(key) for key in members} == {
                key: wanted.get(key) for key in members
            }
    for name in _NAMES:
        one, other = (
            client.get(f"/v1/models/steps/streams/{prefix}{name}").json()
            | client.get(f"/v1/models/steps/streams/{prefix}{name}/forecast").json()
            for prefix in (single, bulk)
        )
        forecast, same = one.pop("forecast"), other.pop("forecast")
        del one["unique_id"], other["unique_id"]
        assert one == other
        if forecast is None:
            assert same is None
            continue
        assert same["ds"] == forecast["ds"]
        assert same["mean"] == pytest.approx(forecast["mean"], rel=1e-5, abs=1e-5)
        for level, values in forecast["quantiles"].items():
            assert same["quantiles"][level] == pytest.approx(values, rel=1e-5, abs=1e-5)
