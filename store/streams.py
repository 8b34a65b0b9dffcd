"""The streams: one for each series of a task that somebody sends observations of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, collate, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from store.keys import fetch
from store.tables import checkpoints, streams

Key = tuple[str, str]
"""Task and `unique_id`."""

_KEY = ("task", "unique_id")
_COLUMNS = tuple(streams.columns)
_NAMES = tuple(column.name for column in _COLUMNS)
_FIND = (
    f"SELECT {', '.join(f's.{column.name}' for column in _COLUMNS)} "  # noqa: S608
    "FROM {keys} CROSS JOIN streams s WHERE s.task = k.task AND s.unique_id = k.unique_id"
)


@dataclass(frozen=True, slots=True)
class NewStream:
    """A stream to open. The fields are those of `Stream`."""

    task: str
    unique_id: str
    timeline: str
    rewind: int
    max_gap: int | None
    ttl_hours: float | None
    exact: bool
    stat: str | None
    opened: int

    @property
    def key(self) -> Key:
        """Task and `unique_id`."""
        return self.task, self.unique_id


@dataclass(frozen=True, slots=True)
class Stream:
    """A row of the table `streams`.

    timeline, stat: JSON that means nothing here. rewind: how many steps back a late observation may
    lie; 0 refuses them. max_gap: longest run of steps without observation; None: the version's
    window. opened, closed: milliseconds since 1970; closed is None while it is open. opened grows
    with every opening, be it new or again, and with every late observation: where it is the same,
    nothing has changed but that the log may have grown at its end. late_seq: the
    newest `seq` of an append that had a late observation; 0 if none had.
    """

    id: int
    task: str
    unique_id: str
    timeline: str
    rewind: int
    max_gap: int | None
    ttl_hours: float | None
    exact: bool
    stat: str | None
    opened: int
    closed: int | None
    late_seq: int

    @property
    def key(self) -> Key:
        """Task and `unique_id`."""
        return self.task, self.unique_id


def find_streams(connection: Connection, keys: Sequence[Key]) -> dict[Key, Stream]:
    """The streams that are there, open or closed; a key that has none is left out."""
    wanted = list({*filter(_storable, keys)})
    found = map(_stream, fetch(connection, _FIND, _KEY, wanted, _NAMES))
    return {stream.key: stream for stream in found}


def open_streams(connection: Connection, new: Sequence[NewStream]) -> list[tuple[Stream, bool]]:
    """Each stream's row, and whether it was made now; one that is there is left as it is.

    Of two with one key the first is made. Needs a writing transaction, and nothing that others made
    is lost to a race. Raises ValueError for a name that no database can hold: with a NUL or half a
    surrogate pair.
    """
    wanted = {stream.key: stream for stream in reversed(new)}
    if not all(map(_storable, wanted)):
        raise ValueError("a task or unique_id holds a character that cannot be stored")
    found = find_streams(connection, list(wanted))
    absent = [wanted[key] for key in sorted(wanted.keys() - found.keys())]  # sorted: no deadlocks
    made: set[Key] = set()
    if absent:
        made = _insert(connection, absent)
        found |= find_streams(connection, [stream.key for stream in absent])
    answer: list[tuple[Stream, bool]] = []
    for stream in new:
        answer.append((found[stream.key], stream.key in made))
        made.discard(stream.key)
    return answer


def change_stream(
    connection: Connection,
    id: int,  # noqa: A002
    *,
    rewind: int,
    max_gap: int | None,
    ttl_hours: float | None,
    exact: bool,
    closed: int | None,
    opened: int | None = None,
) -> Stream:
    """Set a stream's options, close it or open it again; the row as it is then.

    opened: when it was opened again, if it was; a millisecond after the last time at least. Other
    rules for the states make the checkpoints void. Needs a writing transaction, which holds the row
    until it ends: no append comes between. Raises LookupError where there is no such stream.
    """
    held = select(*_COLUMNS).where(streams.c.id == id).with_for_update()
    row = connection.execute(held).one_or_none()
    if row is None:
        raise LookupError("no such stream")
    before = _stream(row)
    values = {
        "rewind": rewind,
        "max_gap": max_gap,
        "ttl_hours": ttl_hours,
        "exact": exact,
        "closed": closed,
    }
    if opened is not None:
        values["opened"] = max(opened, before.opened + 1)
    if max_gap != before.max_gap or exact > before.exact:
        connection.execute(delete(checkpoints).where(checkpoints.c.stream == id))
    changed = update(streams).where(streams.c.id == id).values(values).returning(*_COLUMNS)
    return _stream(connection.execute(changed).one())


def list_streams(
    connection: Connection, task: str, *, after: str | None, limit: int
) -> list[Stream]:
    """At most `limit` streams of a task, by `unique_id` in the order of code points.

    after: the `unique_id` that the page before ended with; None for the first page.
    """
    postgres = connection.dialect.name == "postgresql"
    # "C" is SQLite's order, and the same on every server.
    name = collate(streams.c.unique_id, "C") if postgres else streams.c.unique_id
    query = select(*_COLUMNS).where(streams.c.task == task).order_by(name).limit(limit)
    if after is not None:
        query = query.where(name > after)
    return [_stream(row) for row in connection.execute(query)]


def sample_streams(connection: Connection, task: str, count: int) -> dict[int, Key]:
    """At most `count` open streams of a task by id, picked by a hash of it: the same for whoever
    asks, and over the years no older or newer than the others."""
    # Knuth, The Art of Computer Programming 3, 6.4: 2^32 over the golden ratio. No product is too
    # large for a BIGINT.
    hashed = streams.c.id % (2**31 - 1) * 2_654_435_761 % 2**32
    query = (
        select(streams.c.id, streams.c.task, streams.c.unique_id)
        .where(streams.c.task == task, streams.c.closed.is_(None))
        .order_by(hashed, streams.c.id)
        .limit(count)
    )
    return {row.id: (row.task, row.unique_id) for row in connection.execute(query)}


def _insert(connection: Connection, absent: Sequence[NewStream]) -> set[Key]:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(streams).on_conflict_do_nothing()
    rows = [
        {column.name: getattr(stream, column.name) for column in _COLUMNS[1:-2]}
        for stream in absent
    ]
    made = connection.execute(statement.returning(streams.c.task, streams.c.unique_id), rows)
    return {(row.task, row.unique_id) for row in made}


def _storable(key: Key) -> bool:
    try:
        return b"\0" not in "".join(key).encode()
    except UnicodeEncodeError:
        return False


def _stream(row: Iterable[Any]) -> Stream:
    values = dict(zip(_NAMES, row, strict=True))
    return Stream(**(values | {"exact": bool(values["exact"])}))
