"""Whatever is sent for many streams, it is answered, and it costs no more than it brings."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from service.problems import ProblemError
from service.streams.bulk_lines import read_array, read_lines
from service.streams.bulk_schema import StreamObservation
from tests.service.registries import COUNTED, spec
from tests.service.test_fuzz import RAW, Values

FUZZ = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
STEPS = spec(timeline=COUNTED)
PRICED = spec(timeline=COUNTED, hist_exog=("price",))
MOST = 1_000

GOOD: tuple[dict[str, Any], ...] = (
    {"unique_id": "a", "ds": 7, "y": 1.5},
    {"unique_id": 'a "b" \\ c', "ds": "2026-01-01T00:00:00Z", "y": None},
    {"unique_id": "a", "ds": 7, "y": 2, "exog": {"price": 1.5}},
    {"unique_id": "ü", "ds": -7, "y": -0.0, "exog": {"price": None}},
)


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """An observation with parts replaced, removed, spelled by hand, or there twice."""
    pairs = list(copy.deepcopy(draw(st.sampled_from(GOOD))).items())
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(pairs) - 1))
        key, value = pairs[place]
        match draw(st.sampled_from(["replace", "raw", "twice", "rename", "exog"])):
            case "replace":
                pairs[place] = key, draw(Values)
            case "raw":
                pairs[place] = key, draw(st.sampled_from(RAW))
            case "twice":
                pairs.insert(draw(st.integers(0, len(pairs))), (key, value))
            case "rename":
                pairs[place] = draw(st.sampled_from(["y", "z", 'q"', "exog"])), value
            case _:
                pairs.append(("exog", draw(st.dictionaries(st.text(max_size=3), Values))))
    space = draw(st.sampled_from([b"", b" ", b"\t"]))
    spelled = [
        json.dumps(key).encode() + space + b":" + space + _spelled(value) for key, value in pairs
    ]
    return (b"{" + b",".join(spelled) + b"}" + space).replace(b"\n", b" ")


def _spelled(value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def plainly(text: bytes) -> StreamObservation | None:
    """What a line says by the rules alone, without a short way."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("twice")
        return dict(pairs)

    def never(name: str) -> Any:
        raise ValueError(name)

    try:
        value = json.loads(text.decode(), object_pairs_hook=once, parse_constant=never)
        return StreamObservation.model_validate(value)
    except (ValueError, RecursionError, ValidationError):
        return None


@settings(FUZZ, max_examples=800)
@given(text=lines())
def test_the_short_way_reads_what_the_long_one_does(text: bytes) -> None:
    expected = plainly(text)
    names = {"price"} if expected is not None and expected.exog else set()
    bulk = read_lines(text, PRICED if names else STEPS, MOST)
    if expected is None or type(expected.ds) is not int or expected.exog.keys() != names:
        assert len(bulk.refused) == 1
        return
    if abs(expected.ds) > 2**53:
        assert len(bulk.refused) == 1
        return
    [arrival] = bulk.arrivals
    assert (arrival.unique_id, list(arrival.ds)) == (expected.unique_id, [expected.ds])
    y = math.nan if expected.y is None else expected.y
    assert arrival.y[0] == y or math.isnan(arrival.y[0]) == math.isnan(y) is True
    exog = None if arrival.exog is None else orjson.loads(arrival.exog[0])
    assert exog == (expected.exog or None)


@FUZZ
@given(texts=st.lists(lines(), max_size=4), cut=st.integers(0, 40))
def test_an_array_reads_what_lines_do(texts: list[bytes], cut: int) -> None:
    texts = [text for text in texts if _is_json(text)]
    found = read_lines(b"\n".join(texts), STEPS, MOST)
    array = read_array(b'{"observations":[' + b",".join(texts) + b"]}", STEPS, MOST)
    assert array.arrivals == found.arrivals or "nan" in str(found.arrivals)
    assert array.refused.keys() == found.refused.keys()
    assert array.names == found.names
    with pytest.raises(ProblemError):
        read_array(b'{"observations":[' + b",".join(texts) + b"]" * (cut % 2), STEPS, MOST)


def _is_json(text: bytes) -> bool:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("twice")
        return dict(pairs)

    try:
        json.loads(text.decode(), object_pairs_hook=once, parse_constant=lambda _: 1 / 0)
    except (ValueError, RecursionError, ZeroDivisionError):
        return False
    return True


@FUZZ
@given(content=st.one_of(st.binary(max_size=200), st.lists(lines(), max_size=5).map(b"\n".join)))
@pytest.mark.parametrize("media", ["application/x-ndjson", "application/json"])
def test_any_text_is_answered(client: httpx.Client, media: str, content: bytes) -> None:
    path, headers = "/v1/models/steps/observations", {"content-type": media}
    answer = client.post(path, content=content, headers=headers)
    assert answer.status_code < 500, (answer.text, content)
    if answer.status_code == 200 and media == "application/x-ndjson":
        written = [line for line in content.split(b"\n") if line.strip(b" \t\r\x0b\x0c")]
        assert len(answer.content.splitlines()) == len(written)
