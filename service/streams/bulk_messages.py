"""An Arrow stream looked over before anything is built from it.

Arrow's own reader checks that a message is well-formed and that its parts lie within it. What is
left to refuse is what is well-formed and still asks for more than it brings: compressed buffers,
which a few bytes can make gigabytes of, and types that are more than their storage.
"""

from __future__ import annotations

import struct

from service.problems import Fault, ProblemError, invalid, problem

_MOST_MESSAGES = 256
"""Batches and dictionaries of a body: each batch is checked with the whole of its dictionary."""
_MOST_METADATA = 256 * 2**10
"""Bytes that describe one message: a flat buffer may refer to one field of its own many times."""
_KINDS = ("schema", "dictionary", "record batch")
_HEADER, _DATA, _COMPRESSION = 2, 1, 3
"""Fields by number: of Message, DictionaryBatch and RecordBatch in Arrow's Message.fbs."""


def check_messages(body: bytes) -> None:
    """Raise 400 for what is no Arrow stream, 413 and 422 for what is not read."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    source = pa.BufferReader(body)
    count = 0
    while True:
        try:
            message = pa.ipc.read_message(source)
        except EOFError:
            break
        except (pa.ArrowException, OSError, ValueError):
            raise no_stream() from None
        count += 1
        if count > _MOST_MESSAGES or message.metadata.size > _MOST_METADATA:
            raise problem(
                413,
                "too-large",
                f"more than {_MOST_MESSAGES} Arrow messages, or one "
                f"with more than {_MOST_METADATA} bytes of metadata",
            )
        _check(message.type, message.metadata.to_pybytes())
    if not count:
        raise no_stream()


def no_stream() -> ProblemError:
    """400 for bytes that are no Arrow stream, or one that was cut short."""
    return problem(400, "malformed-body", "no Arrow IPC stream")


def _check(kind: str, metadata: bytes) -> None:
    if kind not in _KINDS:
        raise no_stream()
    if kind == "schema":
        if b"ARROW:extension:" in metadata:
            raise invalid([Fault(field="body", reason="extension types are not read")])
        return
    try:
        batch = _table_in(metadata, _table_at(metadata, 0), _HEADER)
        if batch is not None and kind == "dictionary":
            batch = _table_in(metadata, batch, _DATA)
        compressed = batch is None or _field(metadata, batch, _COMPRESSION) is not None
    except struct.error:
        raise no_stream() from None
    if compressed:
        raise invalid([Fault(field="body", reason="compressed buffers are not read")])


# Flat buffers, https://flatbuffers.dev/internals: a table begins with its distance from its
# vtable, which has the places of its fields in it, 0 for one that is absent.


def _table_at(buffer: bytes, place: int) -> int:
    return place + int(struct.unpack_from("<I", buffer, place)[0])


def _table_in(buffer: bytes, table: int, field: int) -> int | None:
    place = _field(buffer, table, field)
    return None if place is None else _table_at(buffer, place)


def _field(buffer: bytes, table: int, field: int) -> int | None:
    vtable = table - int(struct.unpack_from("<i", buffer, table)[0])
    size = int(struct.unpack_from("<H", buffer, vtable)[0])
    if 6 + 2 * field > size:
        return None
    offset = int(struct.unpack_from("<H", buffer, vtable + 4 + 2 * field)[0])
    return table + offset if offset else None
