from __future__ import annotations

from math import copysign, inf, isnan, nan

import numpy as np
import pytest

from store.append import Append, append
from store.checkpoints import Checkpoint, newest_checkpoints, save_checkpoints
from store.database import Database
from store.log import Rows, rows_after, tails
from store.streams import change_stream
from tests.store.databases import OPENED, opened

WEIGHTS = "0" * 64


def log_of(database: Database, stream: int) -> Rows:
    with database.reading() as connection:
        return rows_after(connection, {stream: None})[stream]


def close(database: Database, stream: int, closed: int | None) -> None:
    with database.writing() as connection:
        change_stream(
            connection, stream, rewind=0, max_gap=None, ttl_hours=None, exact=False, closed=closed
        )


def test_rows_are_numbered_in_the_order_of_their_arrival(database: Database) -> None:
    a, b = opened(database, 2)
    first = [Append(a, 0, 0, [10, 20], [1.0, nan]), Append(b, 0, 0, [7], [2.0], ['{"x":1}'])]
    assert append(database, first, 100) == frozenset()
    assert append(database, [Append(a, 2, 0, [30], [3.0])], 101) == frozenset()
    rows = log_of(database, a)
    assert rows.ds.tolist() == [10, 20, 30]
    assert rows.seq.tolist() == [1, 2, 3]
    assert (rows.y[0], isnan(rows.y[1]), rows.y[2]) == (1.0, True, 3.0)
    assert rows.exog == [None] * 3
    assert log_of(database, b).exog == ['{"x":1}']
    with database.reading() as connection:
        tail = tails(connection, [a])[a]
    assert (tail.ds, tail.seq, tail.late_seq, tail.y, tail.received) == (30, 3, 0, 3.0, 101)


def test_a_stream_whose_log_moved_on_gets_nothing_and_the_others_get_theirs(
    database: Database,
) -> None:
    a, b, c, gone = *opened(database, 3), 10**9
    append(database, [Append(a, 0, 0, [1, 2], [0.0, 0.0])], 1)
    batch = [
        Append(a, 1, 0, [3], [1.0]),
        Append(b, 0, 0, [3], [1.0]),
        Append(c, 0, 1, [3], [1.0]),
        Append(gone, 0, 0, [3], [1.0]),
    ]
    assert append(database, batch, 2) == {a, c, gone}
    assert [len(log_of(database, each)) for each in (a, b, c)] == [2, 1, 0]


def test_a_closed_stream_takes_nothing(database: Database) -> None:
    (stream,) = opened(database, 1)
    close(database, stream, 5)
    assert append(database, [Append(stream, 0, 0, [1], [1.0])], 1) == {stream}
    assert append(database, [Append(stream, 0, 0)], 1) == {stream}
    close(database, stream, None)
    assert append(database, [Append(stream, 0, 0, [1], [1.0])], 1) == frozenset()


def test_without_rows_it_only_asks(database: Database) -> None:
    a, b = opened(database, 2)
    append(database, [Append(a, 0, 0, [1], [1.0])], 1)
    assert append(database, [Append(a, 1, 0), Append(b, 0, 0)], 2) == frozenset()
    assert append(database, [Append(a, 0, 0), Append(b, 0, 0, [4], [1.0])], 2) == {a}
    assert append(database, [], 2) == frozenset()
    assert (len(log_of(database, a)), len(log_of(database, b))) == (1, 1)


def test_a_late_observation_moves_the_log_on_though_the_tail_stays(database: Database) -> None:
    (stream,) = opened(database, 1)
    append(database, [Append(stream, 0, 0, [10, 30], [1.0, 3.0])], 1)
    late = Append(stream, 2, 0, [20], [2.0], first_late=20)
    assert append(database, [late], 2) == frozenset()
    assert append(database, [Append(stream, 2, 0, [40], [4.0])], 3) == {stream}
    assert append(database, [Append(stream, 2, 3, [40], [4.0])], 3) == frozenset()
    rows = log_of(database, stream)
    assert rows.ds.tolist() == [10, 20, 30, 40]
    assert rows.seq.tolist() == [1, 3, 2, 4]


def test_a_stream_that_was_given_other_options_has_moved_on(database: Database) -> None:
    (stream,) = opened(database, 1)
    append(database, [Append(stream, 0, 0, [10, 30], [1.0, 3.0], opened=OPENED)], 1)
    assert append(database, [Append(stream, 2, 0, opened=OPENED + 1)], 1) == {stream}
    late = Append(stream, 2, 0, [20], [2.0], first_late=20, opened=OPENED)
    assert append(database, [late], OPENED + 7) == frozenset()  # which counts as an opening
    assert append(database, [Append(stream, 2, 3, opened=OPENED)], 1) == {stream}
    assert append(database, [Append(stream, 2, 3, opened=OPENED + 7)], 1) == frozenset()


def test_a_late_observation_deletes_the_checkpoints_that_lie_after_it(database: Database) -> None:
    a, b = opened(database, 2)
    for stream in (a, b):
        append(database, [Append(stream, 0, 0, [10, 20, 40], [1.0, 2.0, 4.0])], 1)
    states = [
        Checkpoint(stream, weights, ds, seq, OPENED, 10, seq, True, b"state")
        for stream in (a, b)
        for weights in (WEIGHTS, "f" * 64)
        for seq, ds in ((1, 10), (2, 20), (3, 40))
    ]
    assert save_checkpoints(database, states, keep={}) == len(states)
    append(database, [Append(a, 3, 0, [20 - 5, 50], [0.0, 0.0], first_late=15)], 2)
    with database.reading() as connection:
        for weights in (WEIGHTS, "f" * 64):
            found = newest_checkpoints(connection, [a, b], weights)
            assert {stream: each.ds for stream, each in found.items()} == {a: 10, b: 40}


@pytest.mark.parametrize(
    "y", [1e-320, 5e-324, 1e17, 2**53 + 2.0, 0.1, 1 / 3, 1.7976931348623157e308, -1e-7]
)
def test_a_value_comes_back_to_the_last_bit(database: Database, y: float) -> None:
    (stream,) = opened(database, 1)
    append(database, [Append(stream, 0, 0, [1], [y])], 1)
    assert log_of(database, stream).y.tolist() == [y]


def test_any_float64_comes_back_to_the_last_bit(database: Database) -> None:
    (stream,) = opened(database, 1)
    bits = np.random.default_rng(1).integers(0, 2**64, 20_000, dtype=np.uint64)
    y = bits.view(np.float64)
    y = y[np.isfinite(y)]
    append(database, [Append(stream, 0, 0, list(range(len(y))), y.tolist())], 1)
    assert log_of(database, stream).y.tobytes() == y.tobytes()


def test_a_zero_has_no_sign(database: Database) -> None:
    (stream,) = opened(database, 1)
    append(database, [Append(stream, 0, 0, [1, 2], [-0.0, 0.0])], 1)
    assert [copysign(1, y) for y in log_of(database, stream).y] == [1, 1]


def test_numbers_of_numpy_are_numbers(database: Database) -> None:
    (stream,) = opened(database, 1)
    ds = np.array([1, 2], dtype=np.int64)
    y = np.array([0.5, nan], dtype=np.float32)
    assert append(database, [Append(stream, 0, 0, list(ds), list(y))], 1) == frozenset()
    with database.reading() as connection:
        assert tails(connection, [stream])[stream].ds == 2
    assert log_of(database, stream).y[0] == 0.5


@pytest.mark.parametrize("count", [1, 2, 3, 511, 512, 513, 1025])
def test_a_batch_has_any_size(database: Database, count: int) -> None:
    (stream,) = opened(database, 1)
    ds = list(range(count))
    assert append(database, [Append(stream, 0, 0, ds, [x / 7 for x in ds])], 1) == frozenset()
    rows = log_of(database, stream)
    assert rows.ds.tolist() == ds
    assert rows.y.tolist() == [x / 7 for x in ds]
    assert rows.seq.tolist() == list(range(1, count + 1))


def test_an_observation_that_is_there_means_that_the_log_moved_on(database: Database) -> None:
    a, b = opened(database, 2)
    append(database, [Append(a, 0, 0, [1, 2], [1.0, 2.0])], 1)
    batch = [Append(a, 2, 0, [3, 1], [9.0, 9.0], first_late=1), Append(b, 0, 0, [1], [1.0])]
    assert append(database, batch, 2) == {a}
    assert log_of(database, a).y.tolist() == [1.0, 2.0]
    assert log_of(database, b).y.tolist() == [1.0]


def test_a_batch_that_makes_no_sense_is_refused(database: Database) -> None:
    (stream,) = opened(database, 1)
    with pytest.raises(ValueError, match="a stream is there twice"):
        append(database, [Append(stream, 0, 0), Append(stream, 0, 0)], 1)
    with pytest.raises(ValueError, match="a ds of a stream is there twice"):
        append(database, [Append(stream, 0, 0, [1, 1], [1.0, 1.0])], 1)
    with pytest.raises(ValueError, match="argument"):
        append(database, [Append(stream, 0, 0, [1, 2], [1.0])], 1)
    with pytest.raises(ValueError, match="infinite"):
        append(database, [Append(stream, 0, 0, [1], [-inf])], 1)
    assert len(log_of(database, stream)) == 0
