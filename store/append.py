"""Write to the observation log: a batch of many streams in one transaction of few statements."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from store.database import Database
from store.keys import fetch, insert, keyed
from store.log import stored
from store.tables import observations

_COLUMNS = ("stream", "ds", "seq", "y", "exog", "received")
# The order of ids keeps two batches from waiting for each other.
_LOCK = "SELECT id FROM streams WHERE id IN (SELECT id FROM {keys}) ORDER BY id FOR NO KEY UPDATE"
_POSITIONS = """
SELECT s.id, s.late_seq, s.opened, s.closed, coalesce(
    (SELECT o.seq FROM observations o WHERE o.stream = s.id ORDER BY o.ds DESC LIMIT 1), 0) AS seq
FROM {keys} CROSS JOIN streams s WHERE s.id = k.id
"""
_LATE = """
UPDATE streams SET late_seq = k.late_seq, opened = CASE
    WHEN streams.opened < :received THEN :received ELSE streams.opened + 1 END
FROM {keys} WHERE streams.id = k.id
"""
_OUTDATED = """
DELETE FROM checkpoints WHERE (stream, weights, ds) IN (
    SELECT c.stream, c.weights, c.ds FROM {keys} CROSS JOIN checkpoints c
    WHERE c.stream = k.stream AND c.ds >= k.ds)
"""


@dataclass(frozen=True, slots=True)
class Append:
    """What one stream is to be given, if its log is still as `tail_seq` and `late_seq` say.

    tail_seq, late_seq: as in `Tail`. opened: the stream's, where its options must be the same too.
    ds: in the order of arrival, none twice. y: finite, or NaN where nothing was observed. exog:
    None where no row has any. first_late: the least ds that lies before the stream's newest, where
    one does. Without rows it only asks whether the log is still so.
    """

    stream: int
    tail_seq: int
    late_seq: int
    ds: Sequence[int] = ()
    y: Sequence[float] = ()
    exog: Sequence[str | None] | None = None
    first_late: int | None = None
    opened: int | None = None

    @property
    def newest_seq(self) -> int:
        """The newest `seq` that was given out, with these rows appended."""
        return max(self.tail_seq, self.late_seq) + len(self.ds)

    def rows(self, received: int) -> Iterator[tuple[Any, ...]]:
        """The rows of the table. received: milliseconds since 1970."""
        exog = self.exog if self.exog is not None else (None,) * len(self.ds)
        if any(math.isinf(y) for y in self.y):
            raise ValueError("an observation is infinite")
        first = self.newest_seq - len(self.ds) + 1
        for seq, (ds, y, said) in enumerate(zip(self.ds, self.y, exog, strict=True), first):
            # -0.0 becomes 0.0, which SQLite makes of it anyway.
            yield (
                self.stream,
                int(ds),
                seq,
                None if math.isnan(y) else float(y) + 0.0,
                said,
                received,
            )


class _TakenError(Exception):
    """An observation that was to be inserted is there already."""


def append(database: Database, appends: Sequence[Append], received: int) -> frozenset[int]:
    """Append rows to streams, each if its log has not moved on. They are durable on return.

    received: milliseconds since 1970. Returns the streams whose log has moved on, that were given
    other options, or that are closed or gone: nothing was appended to these. Raises StoreDownError:
    nothing was appended, unless its `unknown` is true. Raises ValueError for a stream or a ds that
    is there twice, and columns of different lengths, or an infinite y.
    """
    if len({each.stream for each in appends}) < len(appends):
        raise ValueError("a stream is there twice")
    moved: set[int] = set()
    while True:
        batch = [each for each in appends if each.stream not in moved]
        try:
            return frozenset(moved | _append(database, batch, received))
        except _TakenError:
            moved |= _taken(database, batch)


def _append(database: Database, batch: Sequence[Append], received: int) -> set[int]:
    if not any(each.ds for each in batch):  # nothing to write, nothing to sync
        with database.reading() as connection:
            return _moved(connection, batch)
    with database.writing() as connection:
        if database.dialect == "postgresql":
            # First of all: the statements after it then see what those before us committed.
            ids = [(each.stream,) for each in batch if each.ds]
            keyed(connection, _LOCK, ("id",), ids)
        moved = _moved(connection, batch)
        kept = [each for each in batch if each.ds and each.stream not in moved]
        if kept:
            _write(connection, kept, received)
    return moved


def _moved(connection: Connection, batch: Sequence[Append]) -> set[int]:
    ids = [(each.stream,) for each in batch]
    answer = ("id", "late_seq", "opened", "closed", "seq")
    found = fetch(connection, _POSITIONS, ("id",), ids, answer)
    open_ones = {
        id_: (seq, late_seq, opened)
        for id_, late_seq, opened, closed, seq in found
        if closed is None
    }
    return {each.stream for each in batch if not _is_so(each, open_ones.get(each.stream))}


def _is_so(each: Append, now: tuple[int, int, int] | None) -> bool:
    if now is None:
        return False
    seq, late_seq, opened = now
    known = each.opened is None or each.opened == opened
    return known and (each.tail_seq, each.late_seq) == (seq, late_seq)


def _write(connection: Connection, kept: Sequence[Append], received: int) -> None:
    rows = [row for each in kept for row in each.rows(received)]
    try:
        insert(connection, observations, _COLUMNS, rows)
    except IntegrityError:
        raise _TakenError from None
    late = [each for each in kept if each.first_late is not None]
    if late:
        places = [(x.stream, x.newest_seq) for x in late]
        keyed(connection, _LATE, ("id", "late_seq"), places, received=received)
        keyed(connection, _OUTDATED, ("stream", "ds"), [(x.stream, x.first_late) for x in late])


def _taken(database: Database, batch: Sequence[Append]) -> set[int]:
    """The streams of which an observation is there already: their log must have moved on."""
    pairs = [(each.stream, int(ds)) for each in batch for ds in each.ds]
    if len({*pairs}) < len(pairs):
        raise ValueError("a ds of a stream is there twice")
    with database.reading() as connection:
        return {stream for stream, _ in stored(connection, pairs)}
