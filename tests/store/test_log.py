from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from store.append import Append, append
from store.database import Database
from store.log import arrived_after, last_rows, rows_after, rows_until_seq, stored, tails
from tests.store.databases import opened


@pytest.fixture(scope="module")
def stream(database: Database) -> int:
    """A stream whose third and fifth observations came late."""
    (made,) = opened(database, 1)
    for append_ in (
        Append(made, 0, 0, [10, 30], [1.0, 3.0]),
        Append(made, 2, 0, [20], [2.0], ['{"x":1}'], first_late=20),
        Append(made, 2, 3, [40, 5], [4.0, 0.5], first_late=5),
        Append(made, 4, 5, [50, 60], [5.0, 6.0]),
    ):
        assert append(database, [append_], 1) == frozenset()
    return made


ARRIVED = [10, 30, 20, 40, 5, 50, 60]


def test_the_log_as_it_was_at_any_time(database: Database, stream: int) -> None:
    with database.reading() as connection:
        for seq in range(len(ARRIVED) + 2):
            rows = rows_until_seq(connection, stream, seq)
            assert rows.ds.tolist() == sorted(ARRIVED[:seq])
            assert [ARRIVED.index(ds) + 1 for ds in rows.ds] == rows.seq.tolist()


def test_what_arrived_after_any_time_in_the_order_of_arrival(
    database: Database, stream: int
) -> None:
    with database.reading() as connection:
        for seq, limit in product(range(len(ARRIVED) + 2), range(4)):
            rows = arrived_after(connection, stream, seq, limit)
            assert rows.ds.tolist() == ARRIVED[seq:][:limit]
            assert rows.seq.tolist() == [*range(seq + 1, len(ARRIVED) + 1)][:limit]


def test_rows_after_a_stamp(database: Database, stream: int) -> None:
    (other,) = opened(database, 1)
    with database.reading() as connection:
        for ds in (None, 4, 5, 29, 30, 60, 61):
            rows = rows_after(connection, {stream: ds, other: None, 10**9: ds})
            after = sorted(each for each in ARRIVED if ds is None or each > ds)
            assert rows[stream].ds.tolist() == after
            assert len(rows[other]) == len(rows[10**9]) == 0
        assert rows_after(connection, {}) == {}
        assert rows[stream].ds.dtype == np.int64
        assert rows[stream].y.dtype == np.float64


def test_the_last_rows_by_stamp(database: Database, stream: int) -> None:
    (other,) = opened(database, 1)
    with database.reading() as connection:
        for count in range(1, len(ARRIVED) + 3):
            rows = last_rows(connection, [stream, other, 10**9], count)
            assert rows[stream].ds.tolist() == sorted(ARRIVED)[-count:]
            assert len(rows[other]) == len(rows[10**9]) == 0
        assert last_rows(connection, [], 3) == {}


def test_what_is_stored_is_found_by_stream_and_stamp(database: Database, stream: int) -> None:
    with database.reading() as connection:
        found = stored(connection, [(stream, 20), (stream, 10), (stream, 11), (10**9, 10)])
        assert stored(connection, []) == {}
    assert found == {(stream, 20): (2.0, '{"x":1}', 3), (stream, 10): (1.0, None, 1)}


def test_the_tail_is_the_newest_stamp_not_the_last_arrival(database: Database) -> None:
    empty, late = opened(database, 2)
    append(database, [Append(late, 0, 0, [9, 3], [9.0, float("nan")], first_late=3)], 4)
    with database.reading() as connection:
        found = tails(connection, [empty, late, 10**9])
    assert found.keys() == {empty, late}
    assert (found[empty].ds, found[empty].seq, found[empty].late_seq) == (None, 0, 0)
    assert (found[late].ds, found[late].seq, found[late].late_seq) == (9, 1, 2)


def test_stamps_may_lie_anywhere(database: Database) -> None:
    (stream,) = opened(database, 1)
    ds = [-(2**62), -1, 0, 2**62]
    append(database, [Append(stream, 0, 0, ds, [0.0] * 4)], 1)
    with database.reading() as connection:
        assert rows_after(connection, {stream: None})[stream].ds.tolist() == ds
        assert stored(connection, [(stream, ds[0])]).keys() == {(stream, ds[0])}
        assert tails(connection, [stream])[stream].ds == 2**62
