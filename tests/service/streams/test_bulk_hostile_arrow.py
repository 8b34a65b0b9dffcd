"""Whatever Arrow stream is sent, it is answered, and it costs no more than it brings."""

from __future__ import annotations

import struct

import httpx
import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from service.problems import ProblemError
from service.streams.bulk_arrow import read_arrow
from service.streams.bulk_columns import Bulk
from tests.service.registries import spec
from tests.service.streams.test_bulk_arrow import SECONDS, observations, post, rows, stream
from tests.service.streams.test_bulk_hostile import FUZZ, MOST

HOURLY = spec()


def arrow_streams() -> list[bytes]:
    price = pa.array([1.0, None, 3.0])
    times = observations("fuzz")
    return [
        stream(times),
        stream(observations("", names=pa.array(["fuzz", None, "fuzz"]).dictionary_encode())),
        stream(observations("", names=pa.array(["fuzz" * 9, "b", None], pa.string_view()))),
        stream(observations("", pa.array(["2026-01-01T00:00Z"] * 3))),
        stream(times.append_column("price", price)),
        stream(times, compression="zstd"),
        stream(pa.table({"unique_id": pa.nulls(3), "ds": pa.nulls(3), "y": pa.nulls(3)})),
    ]


@st.composite
def arrow_bodies(draw: st.DrawFn) -> bytes:
    """An Arrow stream with bytes or whole numbers overwritten, cut short, or a part repeated."""
    body = bytearray(draw(st.sampled_from(arrow_streams())))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body) - 1))
        match draw(st.sampled_from(["byte", "number", "cut", "repeat", "drop"])):
            case "byte":
                body[at] = draw(st.integers(0, 255))
            case "number":
                size, code = draw(st.sampled_from([(2, "<H"), (4, "<I"), (8, "<Q")]))
                at -= at % size
                most = 256**size - 1
                number = draw(
                    st.one_of(
                        st.integers(0, most),
                        st.sampled_from(
                            [0, 1, most, most // 2, most // 2 + 1, most - 1, most // 9]
                        ),
                    )
                )
                body[at : at + size] = struct.pack(code, number)
            case "cut":
                del body[at:]
            case "repeat":
                body[at:at] = body[at : at + draw(st.integers(1, 64))]
            case _:
                del body[at : at + draw(st.integers(1, 16))]
        if not body:
            break
    return bytes(body)


def _read(body: bytes) -> Bulk | ProblemError:
    try:
        return read_arrow(body, HOURLY, MOST)
    except ProblemError as error:
        return error


@settings(FUZZ, max_examples=600)
@given(body=arrow_bodies())
def test_a_damaged_arrow_stream_is_read_or_refused_at_no_cost(body: bytes) -> None:
    before = pa.default_memory_pool().max_memory()
    found = _read(body)
    assert pa.default_memory_pool().max_memory() - before < 2**24
    if isinstance(found, ProblemError):
        assert found.problem.status in (400, 413, 422)
    else:
        assert len(found) <= MOST


@FUZZ
@given(body=st.one_of(arrow_bodies(), st.binary(max_size=200)))
def test_any_arrow_stream_is_answered(client: httpx.Client, body: bytes) -> None:
    answer = post(client, body, "")
    assert answer.status_code < 500, (answer.text, body)
    if answer.status_code == 200:
        rows(answer)


def test_a_stream_that_is_cut_short_anywhere_is_refused_or_read_so_far(
    client: httpx.Client,
) -> None:
    for body in arrow_streams():
        for end in range(0, len(body), 3):
            assert not isinstance(found := _read(body[:end]), ProblemError) or (
                found.problem.status in (400, 422)
            )


def test_compressed_buffers_are_refused_unread(client: httpx.Client) -> None:
    y = pa.array(np.zeros(2_000_000))
    table = pa.table({"unique_id": pa.nulls(len(y)), "ds": pa.nulls(len(y)), "y": y})
    sink = pa.BufferOutputStream()
    for codec in ("zstd", "lz4"):
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression=codec)
        with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
            writer.write_table(table)
        body = sink.getvalue().to_pybytes()
        assert len(body) < 200_000
        answer = post(client, body, "")
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["reason"] == "compressed buffers are not read"
    names = pa.array(["a", "b", "a"]).dictionary_encode()
    assert post(client, stream(observations("", names=names), compression="lz4")).is_client_error


def test_extension_types_are_refused_unread(client: httpx.Client) -> None:
    kind = pa.fixed_shape_tensor(pa.float64(), [1])
    tensors = pa.ExtensionArray.from_storage(
        kind, pa.array([[1.0], [2.0], [3.0]], pa.list_(pa.float64(), 1))
    )
    for y in (tensors, pa.array([1, 0, 1], pa.bool8())):
        answer = post(client, stream(observations("ext", y=y)))
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["reason"] == "extension types are not read"
    field = pa.field("y", pa.float64(), metadata={"ARROW:extension:name": "nobody.knows"})
    table = observations("ext")
    table = table.cast(pa.schema([*list(table.schema)[:2], field]))
    assert post(client, stream(table)).status_code == 422


def test_rows_that_only_are_claimed_cost_nothing() -> None:
    many = pa.table({"unique_id": pa.nulls(10**9), "ds": pa.nulls(10**9), "y": pa.nulls(10**9)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, many.schema) as writer:
        writer.write_table(many)
    found = _read(sink.getvalue().to_pybytes())
    assert isinstance(found, ProblemError)
    assert found.problem.status == 422


def test_more_rows_than_a_request_may_hold_are_413() -> None:
    ds = pa.array([SECONDS[0]] * (MOST + 1), pa.timestamp("s", "UTC"))
    table = pa.table({"unique_id": ["a"] * len(ds), "ds": ds, "y": [1.0] * len(ds)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=500)
    found = _read(sink.getvalue().to_pybytes())
    assert isinstance(found, ProblemError)
    assert found.problem.status == 413


def test_views_that_share_one_long_text_are_refused() -> None:
    long = "x" * 100_000
    data, views = pa.py_buffer(long.encode()), struct.pack("<i4sii", len(long), b"xxxx", 0, 0)
    kind = pa.string_view()
    shared = pa.Array.from_buffers(kind, 900, [None, pa.py_buffer(views * 900), data])
    shared.validate(full=True)
    ds = pa.array([SECONDS[0]] * 900, pa.timestamp("s", "UTC"))
    numbers = pa.array(range(900), pa.int32())
    for names in (shared, pa.DictionaryArray.from_arrays(numbers, shared)):
        table = pa.table({"unique_id": names, "ds": ds, "y": [1.0] * 900})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        found = _read(sink.getvalue().to_pybytes())
        assert isinstance(found, ProblemError)
        assert found.problem.status == 413


def test_messages_are_bounded_in_number_and_size(client: httpx.Client) -> None:
    table = observations("pieces")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        for _ in range(300):
            writer.write_table(table.slice(0, 0).combine_chunks())
            writer.write_batch(table.to_batches()[0].slice(0, 0))
    assert post(client, sink.getvalue().to_pybytes()).status_code == 413
    fields = [pa.field(f"{number}" * 50, pa.int8()) for number in range(2_000)]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema(fields)):
        pass
    found = _read(sink.getvalue().to_pybytes())
    assert isinstance(found, ProblemError)
    assert found.problem.status == 413


def test_a_buffer_may_be_longer_than_what_stands_in_it() -> None:
    view = struct.pack("<i12s", 4, b"name")
    buffers = [None, pa.py_buffer(view * 3 + b"odd")]
    names = pa.Array.from_buffers(pa.string_view(), 3, buffers)
    found = _read(stream(observations("", names=names)))
    assert not isinstance(found, ProblemError)
    assert found.names == ["name"] * 3
