from __future__ import annotations

from time import sleep
from uuid import uuid4

import pytest

from store.append import Append, append
from store.checkpoints import Checkpoint, newest_before, newest_checkpoints, save_checkpoints
from store.database import Database
from store.streams import change_stream
from tests.store.databases import OPENED, opened

WEIGHTS = "a" * 64
OTHER = "b" * 64


def at(stream: int, ds: int, *, weights: str = WEIGHTS, opened: int = OPENED) -> Checkpoint:
    state = uuid4().bytes + b"\0\xff"
    return Checkpoint(stream, weights, ds, ds // 10, opened, 10, ds // 10, True, state)


def kept(database: Database, stream: int, weights: str = WEIGHTS) -> list[int]:
    """Stamps of a stream's checkpoints, the newest first."""
    found: list[int] = []
    ds = 2**62
    with database.reading() as connection:
        while (each := newest_before(connection, stream, weights, ds)) is not None:
            ds = each.ds
            found.append(ds)
    return found


@pytest.fixture
def stream(database: Database) -> int:
    (made,) = opened(database, 1)
    append(database, [Append(made, 0, 0, [10, 20, 30, 40], [0.0] * 4)], 1)
    return made


def test_a_checkpoint_comes_back_as_it_was_saved(database: Database, stream: int) -> None:
    saved = at(stream, 20)
    assert save_checkpoints(database, [saved], keep={}) == 1
    with database.reading() as connection:
        assert newest_checkpoints(connection, [stream, 10**9], WEIGHTS) == {stream: saved}
        assert newest_checkpoints(connection, [stream], OTHER) == {}
        assert newest_before(connection, stream, WEIGHTS, 21) == saved
        assert newest_before(connection, stream, WEIGHTS, 20) is None


def test_a_checkpoint_at_the_same_place_is_replaced(database: Database, stream: int) -> None:
    save_checkpoints(database, [at(stream, 20)], keep={})
    again = at(stream, 20)
    assert save_checkpoints(database, [again], keep={}) == 1
    with database.reading() as connection:
        assert newest_checkpoints(connection, [stream], WEIGHTS) == {stream: again}


def test_what_has_not_seen_a_late_observation_is_not_written(
    database: Database, stream: int
) -> None:
    (other,) = opened(database, 1)
    append(database, [Append(stream, 4, 0, [15], [0.0], first_late=15)], 2)
    batch = [at(stream, 40), at(other, 10), at(10**9, 10)]
    assert save_checkpoints(database, batch, keep={}) == 1
    assert (kept(database, stream), kept(database, other)) == ([], [10])
    assert save_checkpoints(database, [at(stream, 40, opened=OPENED + 1)], keep={}) == 1
    assert kept(database, stream) == [40]


@pytest.mark.parametrize(
    ("max_gap", "exact", "left"), [(None, False, [20]), (9, False, []), (None, True, [])]
)
def test_other_rules_for_a_state_void_what_was_made_by_the_old(
    database: Database, stream: int, max_gap: int | None, exact: bool, left: list[int]
) -> None:
    save_checkpoints(database, [at(stream, 20)], keep={})
    with database.writing() as connection:
        changed = change_stream(
            connection,
            stream,
            rewind=7,
            max_gap=max_gap,
            ttl_hours=1.5,
            exact=exact,
            closed=None,
            opened=5,
        )
    assert changed.opened == OPENED + 1
    assert kept(database, stream) == left
    assert save_checkpoints(database, [at(stream, 30)], keep={}) == 0  # made by the old ones
    assert save_checkpoints(database, [at(stream, 30, opened=OPENED + 1)], keep={}) == 1


def test_old_ones_go_but_one_to_rewind_to_stays(database: Database, stream: int) -> None:
    save_checkpoints(database, [at(stream, ds) for ds in (10, 20, 30)], keep={})
    save_checkpoints(database, [at(stream, 10, weights=OTHER)], keep={})
    assert save_checkpoints(database, [at(stream, 40)], keep={stream: 5}) == 1
    assert kept(database, stream) == [40, 30, 20, 10]
    assert save_checkpoints(database, [at(stream, 40)], keep={stream: 25}) == 1
    assert kept(database, stream) == [40, 30, 20]
    assert save_checkpoints(database, [at(stream, 50)], keep={stream: 50}) == 1
    assert kept(database, stream) == [50]
    assert kept(database, stream, OTHER) == [10]


def test_of_other_weights_the_last_stay(database: Database, stream: int) -> None:
    third = "c" * 64
    for weights in (WEIGHTS, OTHER, third):
        batch = [at(stream, ds, weights=weights) for ds in (10, 20)]
        save_checkpoints(database, batch, keep={stream: 10})
        sleep(0.002)  # `saved` is in milliseconds
    assert kept(database, stream) == []
    assert kept(database, stream, OTHER) == kept(database, stream, third) == [20, 10]


def test_many_streams_are_saved_and_found_at_once(database: Database) -> None:
    ids = opened(database, 700)
    batch = [at(stream, 10) for stream in ids]
    assert save_checkpoints(database, batch, keep=dict.fromkeys(ids, 10)) == 700
    with database.reading() as connection:
        assert newest_checkpoints(connection, ids, WEIGHTS) == {each.stream: each for each in batch}


def test_saving_nothing_is_nothing(database: Database) -> None:
    assert save_checkpoints(database, [], keep={}) == 0
