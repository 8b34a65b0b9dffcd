"""Checkpoints: states of streams, each with the place in the log that it belongs to. A cache."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from store.database import Database
from store.keys import fetch, insert, keyed
from store.tables import checkpoints as table

_COLUMNS = ("stream", "weights", "ds", "seq", "start", "steps", "exact", "state", "saved")
_ANSWER = ("stream", "weights", "ds", "seq", "opened", "start", "steps", "exact", "state")
_READ = """
SELECT c.stream, c.weights, c.ds, c.seq, s.opened, c.start, c.steps, c.exact, c.state
FROM {keys} CROSS JOIN checkpoints c JOIN streams s ON s.id = c.stream
WHERE c.stream = k.stream AND c.weights = :weights AND c.ds = (
    SELECT max(n.ds) FROM checkpoints n
    WHERE n.stream = k.stream AND n.weights = :weights AND n.ds <= k.ds)
"""
_ANY = """
SELECT k.stream FROM {keys}
WHERE EXISTS (SELECT 1 FROM checkpoints c WHERE c.stream = k.stream)
"""
# The locks of `append`, in its order.
_LOCK = "SELECT id FROM streams WHERE id IN (SELECT id FROM {keys}) ORDER BY id FOR NO KEY UPDATE"
_OPENED = "SELECT s.id, s.opened FROM {keys} CROSS JOIN streams s WHERE s.id = k.id"
_CONFLICT = "ON CONFLICT (stream, weights, ds) DO UPDATE SET " + ", ".join(
    f"{column} = excluded.{column}" for column in _COLUMNS[3:]
)
_SURPLUS = """
DELETE FROM checkpoints WHERE (stream, weights, ds) IN (
    SELECT c.stream, c.weights, c.ds FROM {keys} CROSS JOIN checkpoints c
    WHERE c.stream = k.stream AND c.weights = k.weights AND c.ds < (
        SELECT max(n.ds) FROM checkpoints n
        WHERE n.stream = k.stream AND n.weights = k.weights AND n.ds <= k.ds))
"""
# The newest of the other weights stay, for a version that is taken back.
_FORMER = """
DELETE FROM checkpoints WHERE (stream, weights, ds) IN (
    SELECT c.stream, c.weights, c.ds FROM {keys} CROSS JOIN checkpoints c
    WHERE c.stream = k.stream AND c.weights <> k.weights AND c.weights <> (
        SELECT n.weights FROM checkpoints n WHERE n.stream = k.stream AND n.weights <> k.weights
        ORDER BY n.saved DESC, n.weights LIMIT 1))
"""
_GREATEST_DS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A stream's state, opaque here, after the observation at `ds`, for one version's weights.

    weights: SHA-256 of them, 64 hex digits. seq: the newest in the log that the state has seen.
    opened: the stream's, as it was when the state was made. start: ds of the first step that the
    state has seen. steps: how many there are from start to ds, both counted. exact: whether
    everything since the log's last break was replayed.
    """

    stream: int
    weights: str
    ds: int
    seq: int
    opened: int
    start: int
    steps: int
    exact: bool
    state: bytes


def newest_checkpoints(
    connection: Connection, ids: Iterable[int], weights: str
) -> dict[int, Checkpoint]:
    """The newest checkpoint of each stream that has one for these weights."""
    keys = [(stream, _GREATEST_DS) for stream in {*ids}]
    found = fetch(connection, _READ, ("stream", "ds"), keys, _ANSWER, weights=weights)
    return {row[0]: _checkpoint(row) for row in found}


def checkpointed(connection: Connection, ids: Iterable[int]) -> frozenset[int]:
    """The streams that have a checkpoint, whatever the weights."""
    found = keyed(connection, _ANY, ("stream",), [(stream,) for stream in {*ids}])
    return frozenset(row.stream for row in found)


def newest_before(connection: Connection, stream: int, weights: str, ds: int) -> Checkpoint | None:
    """The newest checkpoint of a stream that has seen nothing from `ds` on."""
    keys = [(stream, ds - 1)]
    found = fetch(connection, _READ, ("stream", "ds"), keys, _ANSWER, weights=weights)
    return _checkpoint(found[0]) if found else None


def save_checkpoints(
    database: Database, checkpoints: Sequence[Checkpoint], *, keep: Mapping[int, int]
) -> int:
    """Write those that belong to the log as it is; how many they were.

    One is left out where its stream is gone, or was opened again or given a late observation since:
    it may have been made by other rules, or not have seen all. keep: by stream, the ds that one
    checkpoint at or before must remain for; older ones than the newest such are deleted, and those
    of all other weights but the last. Not synced on PostgreSQL: what a crash loses is replayed.
    Raises StoreDownError.
    """
    ids = [(stream,) for stream in sorted({each.stream for each in checkpoints})]
    saved = time.time_ns() // 1_000_000
    with database.writing() as connection:
        if database.dialect == "postgresql":
            connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
            keyed(connection, _LOCK, ("id",), ids)
        opened = dict(fetch(connection, _OPENED, ("id",), ids, ("id", "opened")))
        fitting = [each for each in checkpoints if opened.get(each.stream) == each.opened]
        if fitting:
            insert(connection, table, _COLUMNS, [_row(each, saved) for each in fitting], _CONFLICT)
        surplus = {
            (each.stream, each.weights, keep[each.stream])
            for each in fitting
            if each.stream in keep
        }
        if surplus:
            keyed(connection, _SURPLUS, ("stream", "weights", "ds"), list(surplus))
            former = list({(stream, weights) for stream, weights, _ in surplus})
            keyed(connection, _FORMER, ("stream", "weights"), former)
    return len(fitting)


def _row(each: Checkpoint, saved: int) -> tuple[Any, ...]:
    return (
        each.stream,
        each.weights,
        each.ds,
        each.seq,
        each.start,
        each.steps,
        each.exact,
        each.state,
        saved,
    )


def _checkpoint(row: tuple[Any, ...]) -> Checkpoint:
    values = dict(zip(_ANSWER, row, strict=True))
    return Checkpoint(**(values | {"exact": bool(values["exact"])}))
