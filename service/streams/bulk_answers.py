"""What becomes of each line of a request, and how it is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import orjson

from models.timeline import Timeline
from service.forecast_answer import check_size
from service.problems import ProblemError, content_of
from service.slots import Loaded
from service.streams.answers import Ask, Writer, dumped, line_of
from service.streams.arrival import Kind, Outcome
from service.streams.bulk_columns import Bulk
from service.streams.jobs import Reply
from service.streams.stamps import clock_of

Results = Sequence[dict[str, Any]]
"""One a line, in the lines' order."""

_LINE = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


def check_forecasts(bulk: Bulk, asked: Ask, most: int) -> None:
    """Raise 413 where the forecasts of all streams would be more than `most` numbers."""
    if asked.wants:
        numbers = len(bulk.arrivals) * asked.h * (len(asked.columns.names) + 1)
        check_size(numbers, most)


def results(bulk: Bulk, replies: Sequence[Reply | ProblemError], asked: Ask) -> Results:
    """A result of each line; the last of a stream that was taken has the forecast, if wanted."""
    found: list[dict[str, Any]] = [{}] * len(bulk)
    for line, error in bulk.refused.items():
        found[line] = {"unique_id": bulk.names[line]} | content_of(error.problem)
    times = _Times(replies)
    writer = Writer()
    for arrival, lines, reply in zip(bulk.arrivals, bulk.lines, replies, strict=True):
        name = arrival.unique_id
        if isinstance(reply, ProblemError):
            said = {"unique_id": name} | content_of(reply.problem)
            for line in lines:
                found[line] = said
            continue
        written = times.of(reply)
        last: int | None = None
        for index, (line, outcome) in enumerate(zip(lines, reply.outcomes, strict=True)):
            if outcome.accepted:
                last = line
                found[line] = _taken(name, written[outcome.ds], outcome)
            else:
                y = arrival.y[index]
                given = None if y != y else y  # noqa: PLR0124 - NaN is "missing"
                found[line] = {"unique_id": name} | line_of(outcome, reply, given)
        if asked.wants and last is not None:
            found[last] |= {
                "version": reply.loaded.version,
                "warming": reply.warming,
                "forecast": writer.forecast(reply.loaded, asked, reply.head.ds, reply.values),
            }
    return found


def _taken(name: str, ds: Any, outcome: Outcome) -> dict[str, Any]:
    return {
        "unique_id": name,
        "status": 200,
        "ds": ds,
        "position": outcome.seq,
        "duplicate": outcome.kind is Kind.DUPLICATE,
        "late": outcome.kind is Kind.REWOUND,
        "missing": outcome.missing,
    }


class _Times:
    """The times of all outcomes as they are written, each once."""

    def __init__(self, replies: Sequence[Reply | ProblemError]) -> None:
        ds: dict[Timeline, set[int]] = {}
        for reply in replies:
            if isinstance(reply, Reply):
                its = ds.setdefault(reply.loaded.spec.timeline, set())
                its.update([outcome.ds for outcome in reply.outcomes])
        self._written = {timeline: _written(timeline, its) for timeline, its in ds.items()}

    def of(self, reply: Reply) -> dict[int, Any]:
        """By ds, for the timeline of a reply."""
        return self._written[reply.loaded.spec.timeline]


def _written(timeline: Timeline, ds: Iterable[int]) -> dict[int, Any]:
    numbers = np.fromiter(ds, np.int64)
    if timeline.kind == "integer":
        return {number: number for number in numbers.tolist()}
    whole = numbers % 1_000_000 == 0  # a fraction is written for all that are written together
    texts: dict[int, Any] = {}
    for part in (numbers[whole], numbers[~whole]):
        texts |= zip(part.tolist(), timeline.format(clock_of(timeline, part)), strict=True)
    return texts


def ndjson(found: Results) -> bytes:
    """A line each."""
    return b"".join([orjson.dumps(result, option=_LINE) for result in found])


def json(found: Results, loaded: Loaded) -> bytes:
    """One object."""
    return dumped({"model": loaded.task, "version": loaded.version, "results": found})


def arrow(found: Results) -> bytes:
    """An Arrow stream: a row each."""
    import pyarrow as pa  # noqa: PLC0415 - slow to import

    fields = {
        "unique_id": pa.string(),
        "status": pa.int16(),
        "position": pa.int64(),
        "duplicate": pa.bool_(),
        "late": pa.bool_(),
        "missing": pa.int64(),
        "type": pa.string(),
        "detail": pa.string(),
    }
    columns = {name: [result.get(name) for result in found] for name in fields}
    columns["detail"] = [_detail(result) for result in found]
    arrays = [pa.array(columns[name], kind) for name, kind in fields.items()]
    table = pa.table(arrays, schema=pa.schema(list(fields.items())))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def _detail(result: dict[str, Any]) -> str | None:
    if "errors" in result:
        return "; ".join(f"{each['field']}: {each['reason']}" for each in result["errors"])
    return result.get("detail")
