"""Observations of many streams as an Arrow stream: a row each, covariates as columns by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import iso
from models.spec import Spec
from models.timeline import Timeline
from service.problems import Fault, invalid, path, problem
from service.streams.bulk_columns import Bulk, Columns, check_count, gathered
from service.streams.bulk_messages import check_messages, no_stream
from service.streams.bulk_schema import MAX_NAME
from service.streams.bulk_stamps import Stamped, counted, placed, read_each
from service.streams.covariates import write_covariates
from service.streams.observation_request import LARGEST

_LONGEST_VIEW = 4 * MAX_NAME
"""Bytes of a text that only is a view: a hundred thousand may share one of megabytes."""
_PER_MICROSECOND = {"s": 1_000_000, "ms": 1_000, "us": 1}


def read_arrow(body: bytes, spec: Spec, most: int) -> Bulk:
    """An Arrow stream's rows. Raises 400, 413 and 422 for a body that cannot be read as a whole."""
    check_messages(body)
    columns = Columns()
    names = spec.hist_exog + spec.futr_exog
    if names:
        columns.exog = []
    batches = _batches(body, spec.timeline, names, most)
    parts = [_read(batch, spec.timeline, names, columns) for batch in batches]
    return gathered(columns, np.concatenate([np.empty(0, np.int64), *parts]))


def _batches(body: bytes, timeline: Timeline, names: Sequence[str], most: int) -> list[Any]:
    """The stream's batches, of which every value has been checked to be within its buffers."""
    import pyarrow as pa  # noqa: PLC0415

    batches, count = [], 0
    try:
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            _check_schema(reader.schema, timeline, names)
            for batch in reader:
                count += batch.num_rows
                check_count(count, most)
                batch.validate(full=True)
                batches.append(batch)
    except (pa.ArrowException, OSError, ValueError):
        raise no_stream() from None
    return batches


def _check_schema(schema: Any, timeline: Timeline, names: Sequence[str]) -> None:
    """Raise 422 for columns that are missing, that no one knows, or of a type that is not read."""
    import pyarrow.types as of  # noqa: PLC0415

    given = list(schema.names)
    wanted = ["unique_id", "ds", "y", *names]
    faults = [
        Fault(field=path((name,)), reason="must be a column, once")
        for name in wanted
        if given.count(name) != 1
    ]
    if faults:
        raise invalid(faults)
    if len(given) > len(wanted):
        raise invalid([Fault(field="body", reason="has columns that the model does not know")])
    for name in wanted:
        kind = schema.field(name).type
        if name == "unique_id":
            text = kind.value_type if of.is_dictionary(kind) else kind
            fine, reason = _is_text(text), "must be text, or a dictionary of texts"
        elif name == "ds" and timeline.kind == "integer":
            fine, reason = of.is_integer(kind), "must be whole numbers, as the model's are"
        elif name == "ds":
            fine = _is_text(kind) or (of.is_timestamp(kind) and kind.tz is not None)
            reason = "must be a timestamp with a time zone, or ISO 8601 texts with an offset"
        else:
            fine, reason = of.is_floating(kind) or of.is_integer(kind), "must be numbers"
        if not fine:
            faults.append(Fault(field=path((name,)), reason=reason))
    if faults:
        raise invalid(faults)


def _read(
    batch: Any, timeline: Timeline, names: Sequence[str], columns: Columns
) -> NDArray[np.int64]:
    """Add a batch's rows to the columns; their ds."""
    first = len(columns.names)
    columns.names += _names(batch.column("unique_id"))
    for row, name in enumerate(columns.names[first:], first):
        if name is None:
            reason = f"must be 1 to {MAX_NAME} printable characters"
            columns.refuse(row, "unique_id", reason)
    stamped = _stamps(batch.column("ds"), timeline)
    for row, reason in stamped.faults.items():
        columns.refuse(first + row, "ds", reason)
    y, fine = _numbers(batch.column("y"), LARGEST)
    columns.y += y.tolist()
    _refuse(columns, first, "y", fine)
    if columns.exog is not None:
        values = []
        for name in names:
            numbers, fine = _numbers(batch.column(name), LARGEST)
            _refuse(columns, first, path(("exog", name)), fine)
            known = numbers.astype(object)
            known[np.isnan(numbers)] = None
            values.append(known.tolist())
        rows = zip(*values, strict=True)
        columns.exog += [write_covariates(dict(zip(names, row, strict=True))) or "" for row in rows]
    return stamped.ds


def _names(column: Any) -> list[str | None]:
    """Names of streams, None for what is none."""
    import pyarrow as pa  # noqa: PLC0415

    if isinstance(column, pa.DictionaryArray):
        indices = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
        used, inverse = np.unique(indices, return_inverse=True)
        if not len(column.dictionary):
            return [None] * len(column)
        _check_views(column.dictionary)
        texts = [column.dictionary[i].as_py() for i in used.tolist()]
        missing = column.is_null().to_numpy(zero_copy_only=False)
        known = [texts[i] for i in inverse.tolist()]
        texts = [None if gone else text for text, gone in zip(known, missing, strict=True)]
    else:
        texts = _texts(column)
    return [
        text if text is not None and 0 < len(text) <= MAX_NAME and text.isprintable() else None
        for text in texts
    ]


def _texts(column: Any) -> list[str | None]:
    _check_views(column)
    texts: list[str | None] = column.to_pylist()
    return texts


def _check_views(column: Any) -> None:
    """Raise 413 for texts that are views of more than any name or time has."""
    import pyarrow as pa  # noqa: PLC0415

    if column.type == pa.string_view() and len(column):
        end = 4 * (column.offset + len(column))  # a view is four numbers, the first its length
        lengths = np.frombuffer(column.buffers()[1], np.int32, end)[4 * column.offset :: 4]
        if (lengths > _LONGEST_VIEW).any():
            raise problem(413, "too-large", f"a text of more than {_LONGEST_VIEW} bytes")


def _stamps(column: Any, timeline: Timeline) -> Stamped:
    import pyarrow as pa  # noqa: PLC0415

    missing = column.is_null().to_numpy(zero_copy_only=False)
    if _is_text(column.type):
        stamped = read_each(timeline, [text or "" for text in _texts(column)])
    elif timeline.kind == "integer":
        if column.type == pa.uint64():  # what int64 has no room for is beyond the bound anyway
            column = column.cast(pa.float64(), safe=False)
            steps = np.minimum(column.fill_null(0).to_numpy(zero_copy_only=False), 2.0**60)
            stamped = counted(steps.astype(np.int64))
        else:
            stamped = counted(_whole(column))
    else:
        stamped = _instants(_whole(column), column.type.unit, timeline)
    for row in np.flatnonzero(missing).tolist():
        stamped.faults[row] = "is required"
    return stamped


def _whole(column: Any) -> NDArray[np.int64]:
    """(n,) whole numbers, 0 for null."""
    import pyarrow as pa  # noqa: PLC0415

    numbers: NDArray[np.int64] = column.cast(pa.int64()).fill_null(0).to_numpy()
    return numbers


def _instants(numbers: NDArray[np.int64], unit: str, timeline: Timeline) -> Stamped:
    fine = np.ones(len(numbers), bool)
    if unit == "ns":
        micros, rest = np.divmod(numbers, 1000)
        fine = rest == 0
    else:
        factor = _PER_MICROSECOND[unit]
        most = 2**62 // factor  # beyond all years that stamps may have
        micros = np.clip(numbers, -most, most) * factor
    zero, aware = np.zeros(len(micros), np.int64), np.ones(len(micros), bool)
    stamped = placed(timeline, iso.Stamps(micros, zero, aware, fine))
    for row in np.flatnonzero(~fine).tolist():
        stamped.faults[row] = "is finer than a microsecond"
    return stamped


def _numbers(column: Any, most: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(n,) numbers, NaN where null; and which are null or within the bound."""
    import pyarrow as pa  # noqa: PLC0415

    missing = column.is_null().to_numpy(zero_copy_only=False)
    numbers = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return numbers, missing | (np.abs(numbers) <= most)


def _refuse(columns: Columns, first: int, place: str, fine: NDArray[np.bool_]) -> None:
    for row in np.flatnonzero(~fine).tolist():
        reason = "must be a finite number within bounds, or null where nothing was observed"
        columns.refuse(first + row, place, reason)


def _is_text(kind: Any) -> bool:
    import pyarrow.types as of  # noqa: PLC0415

    return bool(of.is_string(kind) or of.is_large_string(kind) or of.is_string_view(kind))
