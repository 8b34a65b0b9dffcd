"""Many streams in one request as an Arrow stream, over a real socket."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

ARROW = "application/vnd.apache.arrow.stream"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = [int(BEGIN.timestamp()) + 3600 * hour for hour in range(3)]


def stream(table: Any, **options: Any) -> bytes:
    """A table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=2)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def post(
    client: httpx.Client, content: bytes, query: str = "?open=true", model: str = "load"
) -> httpx.Response:
    path = f"/v1/models/{model}/observations{query}"
    return client.post(path, content=content, headers={"content-type": ARROW})


def rows(answer: httpx.Response) -> list[dict[str, Any]]:
    """The rows that a request was answered."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == ARROW
    found: list[dict[str, Any]] = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    return found


def observations(name: str, ds: Any = None, names: Any = None, y: Any = None) -> Any:
    ds = pa.array(SECONDS, pa.timestamp("s", tz="UTC")) if ds is None else ds
    names = pa.array([name] * 3) if names is None else names
    return pa.table({"unique_id": names, "ds": ds, "y": [1.0, None, 2.0] if y is None else y})


def test_each_row_is_answered_in_order(client: httpx.Client) -> None:
    names = pa.array(["rows-a", "rows-b", "rows-a"])
    table = observations("", names=names)
    assert rows(post(client, stream(table))) == [
        {
            "unique_id": name,
            "status": 200,
            "position": position,
            "duplicate": False,
            "late": False,
            "missing": missing,
            "type": None,
            "detail": None,
        }
        for name, position, missing in (("rows-a", 1, 0), ("rows-b", 1, 0), ("rows-a", 2, 1))
    ]
    assert all(row["duplicate"] for row in rows(post(client, stream(table))))


@pytest.mark.parametrize(
    "ds",
    [
        pa.array(SECONDS, pa.timestamp("s", tz="UTC")),
        pa.array(SECONDS, pa.timestamp("s", tz="no zone at all")),
        pa.array([1000 * at for at in SECONDS], pa.timestamp("ms", tz="America/New_York")),
        pa.array([10**6 * at for at in SECONDS], pa.timestamp("us", tz="+02:00")),
        pa.array([10**9 * at for at in SECONDS], pa.timestamp("ns", tz="UTC")),
        pa.array([f"2026-01-01T0{hour}:00:00Z" for hour in range(3)]),
        pa.array([f"2026-01-01T0{hour}:00+00:00" for hour in range(3)], pa.large_string()),
        pa.array([f"2026-01-01 0{hour}:00Z" for hour in range(3)], pa.string_view()),
    ],
    ids=lambda ds: str(ds.type),
)
def test_times_are_instants_however_they_are_written(client: httpx.Client, ds: Any) -> None:
    name = f"times {ds.type}".replace("/", " ")
    found = rows(post(client, stream(observations(name, ds))))
    assert [row["status"] for row in found] == [200, 200, 200]
    status = client.get(f"/v1/models/load/streams/{name}").json()
    assert (status["since"], status["last_ds"]) == (
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T02:00:00+00:00",
    )


@pytest.mark.parametrize(
    "names",
    [
        pa.array(["texts-a", "texts-b", "texts-a"], pa.large_string()),
        pa.array(["texts-a", "texts-b", "texts-a"], pa.string_view()),
        pa.array(["texts-a", "texts-b", "texts-a"]).dictionary_encode(),
        pa.DictionaryArray.from_arrays(
            pa.array([1, 0, 1], pa.uint8()), pa.array(["texts-b", "texts-a"], pa.string_view())
        ),
    ],
    ids=lambda names: str(names.type),
)
def test_names_are_texts_of_any_kind(client: httpx.Client, names: Any) -> None:
    found = rows(post(client, stream(observations("", names=names))))
    assert [row["unique_id"] for row in found] == ["texts-a", "texts-b", "texts-a"]
    assert [row["position"] for row in found] == [1, 1, 2]


@pytest.mark.parametrize(
    "y",
    [
        pa.array([1, None, 2], pa.int8()),
        pa.array([1, None, 2], pa.uint64()),
        pa.array([1.0, None, 2.0], pa.float32()),
        pa.array(np.array([1.0, 3.0, 2.0], np.float16)),
    ],
    ids=lambda y: str(y.type),
)
def test_values_are_numbers_of_any_kind(client: httpx.Client, y: Any) -> None:
    name = f"numbers {y.type}"
    assert {row["status"] for row in rows(post(client, stream(observations(name, y=y))))} == {200}
    kept = client.get(f"/v1/models/load/streams/{name}/snapshot").json()["history"]["y"]
    assert kept == y.to_pylist()


def test_what_polars_writes_is_read(client: httpx.Client) -> None:
    ds = [BEGIN, BEGIN + timedelta(hours=1)]
    frame = pl.DataFrame({"unique_id": ["polars"] * 2, "ds": ds, "y": [1.0, None]})
    for each in (frame, frame.with_columns(pl.col("unique_id").cast(pl.Categorical))):
        sink = io.BytesIO()
        each.write_ipc_stream(sink)
        assert [row["position"] for row in rows(post(client, sink.getvalue()))] == [1, 2]


def test_counted_steps_are_whole_numbers(client: httpx.Client) -> None:
    for kind in (pa.int16(), pa.uint64(), pa.int64()):
        table = observations("counted", pa.array([1, 2, 3], kind))
        answer = post(client, stream(table), model="steps")
        assert [row["position"] for row in rows(answer)] == [1, 2, 3]
    ds = pa.array([4, None, 2**64 - 1], pa.uint64())
    found = rows(post(client, stream(observations("counted", ds)), model="steps"))
    assert [row["status"] for row in found] == [200, 422, 422]
    ds = pa.array([2**53 + 1, -(2**63), 2**63 - 1], pa.int64())
    found = rows(post(client, stream(observations("counted", ds)), model="steps"))
    assert [row["detail"] for row in found] == ["ds: lies beyond 2**53"] * 3


def test_covariates_are_columns_by_name(client: httpx.Client) -> None:
    streams = "/v1/models/covariates/streams"
    client.put(f"{streams}/columns", json={"stat_exog": {"area": 3.0}})
    table = observations("columns")
    table = table.append_column("price", pa.array([1.5, None, 3.5], pa.float64()))
    table = table.append_column("temperature", pa.array([1, 2, 3], pa.int32()))
    answer = post(client, stream(table), "", model="covariates")
    assert {row["status"] for row in rows(answer)} == {200}
    kept = client.get(f"{streams}/columns/snapshot").json()["history"]["exog"]
    assert kept == {"price": [1.5, None, 3.5], "temperature": [1.0, 2.0, 3.0]}
    one = {
        "unique_id": "columns",
        "ds": "2026-01-01T00:00:00Z",
        "y": 1,
        "exog": {"price": 1.5, "temperature": 1},
    }
    as_json = client.post("/v1/models/covariates/observations", json={"observations": [one]})
    assert as_json.json()["results"][0]["duplicate"]


def test_rows_that_are_amiss_are_refused_alone(client: httpx.Client) -> None:
    wrong = {
        "unique_id": [None, "", "x" * 257, "a\x07", *["amiss"] * 8],
        "ds": [*SECONDS, *SECONDS, None, -(2**63), 2**63 - 1, *SECONDS],
        "y": [*[1.0] * 9, np.nan, np.inf, -1.1e17],
    }
    kinds = [("unique_id", pa.string()), ("ds", pa.timestamp("s", "UTC")), ("y", pa.float64())]
    table = pa.table({name: pa.array(wrong[name], kind, from_pandas=False) for name, kind in kinds})
    found = rows(post(client, stream(table)))
    assert [row["status"] for row in found] == [422] * 4 + [200, 200] + [422] * 6
    fields = [(row["detail"] or "").partition(":")[0] for row in found]
    assert fields == ["unique_id"] * 4 + ["", ""] + ["ds"] * 3 + ["y"] * 3


def test_a_nanosecond_is_no_time_of_ours(client: httpx.Client) -> None:
    ds = pa.array([10**9 * SECONDS[0] + 1, 10**9 * SECONDS[1], None], pa.timestamp("ns", "UTC"))
    found = rows(post(client, stream(observations("nano", ds))))
    assert [row["detail"] for row in found] == [
        "ds: is finer than a microsecond",
        None,
        "ds: is required",
    ]


def test_an_empty_stream_is_answered_by_one(client: httpx.Client) -> None:
    empty = observations("none").slice(0, 0)
    assert rows(post(client, stream(empty))) == []


def test_forecasts_are_not_for_arrow(client: httpx.Client) -> None:
    answer = post(client, stream(observations("none")), "?forecast=true")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "forecast"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ds": pa.array(SECONDS, pa.timestamp("s"))}, "ds"),
        ({"ds": pa.array(SECONDS)}, "ds"),
        ({"ds": pa.array([1, 2, 3], pa.date32())}, "ds"),
        ({"ds": pa.array(["a", "b", "c"]).dictionary_encode()}, "ds"),
        ({"unique_id": pa.array([1, 2, 3])}, "unique_id"),
        ({"unique_id": pa.array([b"a", b"b", b"c"])}, "unique_id"),
        ({"unique_id": pa.array([1, 2, 3]).dictionary_encode()}, "unique_id"),
        ({"y": pa.array(["1", "2", "3"])}, "y"),
        ({"y": pa.array([True, False, None])}, "y"),
        ({"y": pa.nulls(3)}, "y"),
        ({"y": pa.array([[1.0], [2.0], [3.0]])}, "y"),
        ({"more": pa.array([1, 2, 3])}, "body"),
        ({"more": pa.array([{"a": 1}] * 3)}, "body"),
    ],
    ids=lambda each: each if isinstance(each, str) else str(next(iter(each.values())).type),
)
def test_columns_of_other_kinds_are_refused(
    client: httpx.Client, change: dict[str, Any], field: str
) -> None:
    table = observations("kinds")
    columns = {name: table.column(name) for name in table.column_names} | change
    answer = post(client, stream(pa.table(columns)))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_columns_that_are_missing_or_there_twice_are_refused(client: httpx.Client) -> None:
    table = observations("kinds")
    twice = pa.Table.from_arrays(
        [*table.columns, table.column("y")], names=["unique_id", "ds", "y", "y"]
    )
    for each in (table.drop_columns(["y"]), twice):
        answer = post(client, stream(each))
        assert answer.status_code == 422
        assert answer.json()["errors"] == [{"field": "y", "reason": "must be a column, once"}]
