"""The observation log: what was observed, in the order in which it arrived. It is the truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from store.keys import fetch

_Row = tuple[Any, ...]
_LEAST_DS = -(2**63)
_TAILS = """
SELECT s.id, o.ds, coalesce(o.seq, 0) AS seq, s.late_seq, o.y, o.exog, o.received, s.closed
FROM {keys} CROSS JOIN streams s LEFT JOIN observations o
ON o.stream = s.id AND o.ds = (SELECT max(n.ds) FROM observations n WHERE n.stream = s.id)
WHERE s.id = k.id
"""
_STORED = """
SELECT o.stream, o.ds, o.y, o.exog, o.seq FROM {keys} CROSS JOIN observations o
WHERE o.stream = k.stream AND o.ds = k.ds
"""
_COLUMNS = ("stream", "ds", "y", "exog", "seq")
_ROWS = "SELECT o.stream, o.ds, o.y, o.exog, o.seq FROM {keys} CROSS JOIN observations o "
_AFTER = f"{_ROWS} WHERE o.stream = k.stream AND o.ds >= k.ds"
_LAST = (
    f"{_ROWS} WHERE o.stream = k.stream AND o.ds >= coalesce((SELECT n.ds FROM observations n "  # noqa: S608
    "WHERE n.stream = k.stream ORDER BY n.ds DESC LIMIT 1 OFFSET :skip), k.ds)"
)
_UNTIL = f"{_ROWS} WHERE o.stream = k.stream AND o.seq <= k.seq"
_NEWEST = f"{_ROWS} WHERE o.stream = k.stream ORDER BY o.ds DESC LIMIT :limit OFFSET :offset"
_ARRIVED = f"{_ROWS} WHERE o.stream = k.stream AND o.seq > k.seq ORDER BY o.seq LIMIT :limit"


@dataclass(frozen=True, slots=True)
class Tail:
    """Where a stream's log ends.

    ds, seq, y, exog, received: of the row with the greatest ds; seq is 0 and the others None where
    there is none. y: None where nothing was observed. late_seq, closed: the stream's.
    """

    stream: int
    ds: int | None
    seq: int
    late_seq: int
    y: float | None
    exog: str | None
    received: int | None
    closed: int | None


@dataclass(frozen=True, slots=True)
class Rows:
    """Observations of one stream, side by side. y: NaN where nothing was observed."""

    ds: NDArray[np.int64]  # (N,)
    y: NDArray[np.float64]  # (N,)
    exog: list[str | None]  # N
    seq: NDArray[np.int64]  # (N,)

    def __len__(self) -> int:
        return len(self.seq)


def tails(connection: Connection, ids: Iterable[int]) -> dict[int, Tail]:
    """The tails of the streams that are there."""
    answer = ("id", "ds", "seq", "late_seq", "y", "exog", "received", "closed")
    found = fetch(connection, _TAILS, ("id",), [(stream,) for stream in {*ids}], answer)
    return {row[0]: Tail(*row) for row in found}


def stored(
    connection: Connection, pairs: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], tuple[float | None, str | None, int]]:
    """y, exog and seq of each (stream, ds) that is in the log."""
    found = fetch(connection, _STORED, ("stream", "ds"), list({*pairs}), _COLUMNS)
    return {(stream, ds): (y, exog, seq) for stream, ds, y, exog, seq in found}


def rows_after(connection: Connection, after: Mapping[int, int | None]) -> dict[int, Rows]:
    """Each stream's rows with a ds above the given one, all for None, by ascending ds.

    A stream without such rows has empty ones.
    """
    keys = [(stream, _LEAST_DS if ds is None else ds + 1) for stream, ds in after.items()]
    by_stream: dict[int, list[_Row]] = {stream: [] for stream in after}
    for row in fetch(connection, _AFTER, ("stream", "ds"), keys, _COLUMNS):
        by_stream[row[0]].append(row)
    return {stream: _rows(found, by="ds") for stream, found in by_stream.items()}


def last_rows(connection: Connection, streams: Iterable[int], count: int) -> dict[int, Rows]:
    """Each stream's `count` rows of the greatest ds, or as many as there are, by ascending ds.

    Reads no others, however long the log is.
    """
    by_stream: dict[int, list[_Row]] = {stream: [] for stream in streams}
    keys = [(stream, _LEAST_DS) for stream in by_stream]
    for row in fetch(connection, _LAST, ("stream", "ds"), keys, _COLUMNS, skip=count - 1):
        by_stream[row[0]].append(row)
    return {stream: _rows(found, by="ds") for stream, found in by_stream.items()}


def rows_until_seq(connection: Connection, stream: int, seq: int) -> Rows:
    """All rows that had arrived up to `seq`, by ascending ds: the log as it was then."""
    found = fetch(connection, _UNTIL, ("stream", "seq"), [(stream, seq)], _COLUMNS)
    return _rows(found, by="ds")


def arrived_after(connection: Connection, stream: int, seq: int, limit: int) -> Rows:
    """The first `limit` rows that arrived after `seq`, in the order of their arrival.

    Reads the rows back from the newest where none of those asked for came late, else the stream's.
    """
    tail = tails(connection, [stream]).get(stream)
    if tail is None or limit < 1:
        return _rows([], by="seq")
    keys = [(stream, seq)]
    if tail.late_seq <= seq:  # the others arrived by ascending ds, and seq has no holes
        missing = max(tail.seq - seq, 0)
        place = {"limit": min(missing, limit), "offset": max(missing - limit, 0)}
        found = fetch(connection, _NEWEST, ("stream", "seq"), keys, _COLUMNS, **place)
    else:
        found = fetch(connection, _ARRIVED, ("stream", "seq"), keys, _COLUMNS, limit=limit)
    return _rows(found, by="seq")


def _rows(found: Sequence[_Row], *, by: str) -> Rows:
    _, ds_, y_, exog, seq_ = zip(*found, strict=True) if found else ((),) * 5
    ds, seq = np.array(ds_, dtype=np.int64), np.array(seq_, dtype=np.int64)
    y = np.array(y_, dtype=np.float64)  # None becomes NaN
    order = np.argsort(ds if by == "ds" else seq, kind="stable")
    return Rows(ds[order], y[order], [exog[place] for place in order.tolist()], seq[order])
