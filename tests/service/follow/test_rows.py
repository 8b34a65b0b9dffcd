"""What lines are read as, and why some are not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from service.follow.lines import Line
from service.follow.model import Model
from service.follow.rows import BadLineError, Reader

TIMES = Model(counted=False, zone=UTC, exog=())
STEPS = Model(counted=True, zone=UTC, exog=())
HEADER = "unique_id,ds,y"


def read(*texts: str, model: Model = TIMES, **how: Any) -> list[Mapping[str, Any]]:
    """The bodies of a file's lines."""
    reader = Reader(model, **how)
    rows = [reader.read(Line("a.csv", n, text.encode())) for n, text in enumerate(texts, start=1)]
    return [orjson.loads(row.body) for row in rows if row is not None]


def refused(*texts: str, model: Model = TIMES, **how: Any) -> str:
    """Why the last line is refused; those before it are not."""
    reader = Reader(model, **how)
    lines = [Line("a.csv", n, text.encode()) for n, text in enumerate(texts, start=1)]
    for line in lines[:-1]:
        reader.read(line)
    with pytest.raises(BadLineError) as error:
        reader.read(lines[-1])
    return str(error.value)


def test_csv_and_json_say_the_same() -> None:
    one = {"unique_id": "a", "ds": "2026-03-01T00:00:00Z", "y": 1.5}
    assert read(HEADER, "a,2026-03-01T00:00:00Z,1.5") == [one]
    assert read('{"y": 1.5, "ds": "2026-03-01T00:00:00Z", "unique_id": "a"}') == [one]
    assert read("y;ds;unique_id", "1.5;2026-03-01T00:00:00Z;a") == [one]


@pytest.mark.parametrize("text", ["", "NaN", "null", "NA", " "])
def test_a_missing_value_is_null(text: str) -> None:
    assert read(HEADER, f"a,2026-03-01T00:00:00Z,{text}")[0]["y"] is None


def test_a_missing_value_in_json_is_null() -> None:
    ds = '"ds": "2026-03-01T00:00:00Z", "unique_id": "a"'
    assert [read(f'{{{ds}, "y": {y}}}')[0]["y"] for y in ("null", "NaN")] == [None, None]


def test_columns_may_be_called_otherwise() -> None:
    columns = {"ds": "time", "y": "kwh", "unique_id": "meter"}
    assert read("time,kwh,meter", "3,1,b", model=STEPS, columns=columns) == [
        {"unique_id": "b", "ds": 3, "y": 1.0}
    ]


def test_a_line_without_a_name_is_of_the_stream_that_was_named() -> None:
    assert read("ds,y", "3,1", model=STEPS, unique_id="b")[0]["unique_id"] == "b"
    assert read(HEADER, "a,3,1", ",3,1", model=STEPS, unique_id="b")[1]["unique_id"] == "b"
    assert "give --unique-id" in refused("ds,y", model=STEPS)
    assert "give --unique-id" in refused('{"ds": 3, "y": 1}', model=STEPS)


def test_covariates_are_those_of_the_model_and_no_others() -> None:
    model = Model(counted=True, zone=UTC, exog=("price", "wind"))
    exog = {"price": 2.0, "wind": None}
    assert read("note,wind,ds,y,price,unique_id", "hot,,1,5,2,a", model=model)[0]["exog"] == exog
    flat = '{"unique_id": "a", "ds": 1, "y": 5, "price": 2, "wind": null, "note": "hot"}'
    nested = '{"unique_id": "a", "ds": 1, "y": 5, "exog": {"price": 2, "wind": null}}'
    assert read(flat, model=model) == read(nested, model=model)
    assert read(flat, model=model)[0]["exog"] == exog


def test_a_time_without_offset_is_in_the_zone_of_the_model() -> None:
    berlin = Model(counted=False, zone=ZoneInfo("Europe/Berlin"), exog=())
    assert read(HEADER, "a,2026-07-01 12:00,1")[0]["ds"] == "2026-07-01T12:00:00+00:00"
    assert read(HEADER, "a,2026-07-01 12:00,1", model=berlin)[0]["ds"].endswith("+02:00")
    assert read(HEADER, "a,2026-07-01T12:00Z,1", model=berlin)[0]["ds"] == "2026-07-01T12:00Z"
    for twice_or_never in ("2026-10-25 02:30", "2026-03-29 02:30"):
        assert "skipped or repeated" in refused(HEADER, f"a,{twice_or_never},1", model=berlin)


@pytest.mark.parametrize("step", ["1.9", "x", "1_0", "true", '"1.0"'])
def test_what_is_no_whole_number_is_no_step(step: str) -> None:
    text = f'{{"unique_id": "a", "ds": {step}, "y": 1}}'
    assert "no" in refused(text, model=STEPS)


@pytest.mark.parametrize("y", ["many", "inf", "-Infinity", "1e999", "1_000", "0x10"])
def test_what_is_no_number_is_refused(y: str) -> None:
    assert "is no number" in refused(HEADER, f"a,2026-03-01T00:00:00Z,{y}")


def test_a_line_that_is_no_observation_says_why() -> None:
    assert "is no JSON" in refused('{"ds": ')
    assert "comes twice" in refused('{"ds": "2026-03-01T00:00:00Z", "y": 1, "y": 2}')
    assert "has 2 cells, and the header 3" in refused(HEADER, "a,2026-03-01T00:00:00Z")
    assert "not closed" in refused(HEADER, 'a,"2026-03-01T00:00:00Z,1')
    assert "has no y" in refused('{"ds": "2026-03-01T00:00:00Z"}')
    assert "printable" in refused('{"unique_id": "a\\u0007", "ds": "2026-03-01Z", "y": 1}')
    assert "is no time" in refused('{"unique_id": "a", "ds": "\\ud800", "y": 1}')
    assert "names a column twice" in refused("ds,y,y,unique_id")


def test_a_line_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(BadLineError, match="UTF-8"):
        Reader(TIMES).read(Line("a.csv", 1, b"\xff\xfe"))


def test_a_file_without_header_is_left_out_and_told_once() -> None:
    assert "the rest of the file is left out" in refused("a,2026-03-01T00:00:00Z,1")
    reader = Reader(TIMES)
    with pytest.raises(BadLineError):
        reader.read(Line("a.csv", 1, b"a,2026-03-01T00:00:00Z,1"))
    assert reader.read(Line("a.csv", 2, b"a,2026-03-01T01:00:00Z,1")) is None


def test_each_file_has_its_own_header_or_that_of_the_one_before() -> None:
    reader = Reader(STEPS)
    texts = [(1, HEADER), (2, "a,1,5"), (1, "y,ds,unique_id"), (2, "6,2,a"), (1, "7,3,a")]
    rows = [reader.read(Line("a.csv", number, text.encode())) for number, text in texts]
    assert [row.y for row in rows if row is not None] == [5, 6, 7]


def test_a_header_that_comes_again_is_passed_over() -> None:
    assert len(read(HEADER, "a,1,5", "", HEADER, "a,2,5", model=STEPS)) == 2
