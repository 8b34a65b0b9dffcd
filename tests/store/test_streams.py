from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from store.database import Database
from store.streams import (
    change_stream,
    find_streams,
    list_streams,
    open_streams,
    sample_streams,
)
from tests.store.databases import new, opened


def test_a_stream_is_made_once_and_then_left_as_it_is(database: Database) -> None:
    task = uuid4().hex
    with database.writing() as connection:
        (first, made), (same, again) = open_streams(connection, [new(task, "a"), new(task, "a")])
    assert (made, again) == (True, False)
    assert first == same
    with database.writing() as connection:
        ((after, made),) = open_streams(connection, [new(task, "a")])
    assert (after, made) == (first, False)
    assert (first.task, first.unique_id, first.rewind, first.late_seq) == (task, "a", 3, 0)
    assert first.exact is False
    assert first.closed is None


def test_a_closed_stream_stays_closed_when_it_is_asked_for(database: Database) -> None:
    (stream,) = opened(database, 1)
    with database.writing() as connection:
        closed = change_stream(
            connection, stream, rewind=0, max_gap=9, ttl_hours=1.5, exact=True, closed=77
        )
    with database.writing() as connection:
        ((found, made),) = open_streams(connection, [new(closed.task, closed.unique_id)])
    assert (found, made) == (closed, False)
    assert (found.closed, found.max_gap, found.ttl_hours, found.exact) == (77, 9, 1.5, True)


def test_names_are_told_apart_by_task_and_by_every_character(database: Database) -> None:
    task = uuid4().hex
    names = ["a", "A", "a ", "é", "e\u0301", "😀", '"', "'", "\\u0061", "a,b", "{}", "%s", ":x"]
    with database.writing() as connection:
        made = open_streams(connection, [new(task, name) for name in names])
    assert [is_new for _, is_new in made] == [True] * len(names)
    with database.reading() as connection:
        found = find_streams(connection, [(task, name) for name in names])
        assert find_streams(connection, [("other", name) for name in names]) == {}
    assert found == {(task, name): stream for name, (stream, _) in zip(names, made, strict=True)}


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_cannot_be_stored_is_refused_and_never_found(
    database: Database, name: str
) -> None:
    with pytest.raises(ValueError, match="cannot be stored"), database.writing() as connection:
        open_streams(connection, [new("task", name)])
    with database.reading() as connection:
        assert find_streams(connection, [("task", name)]) == {}


def test_threads_that_open_the_same_streams_make_each_once(database: Database) -> None:
    task = uuid4().hex
    names = [f"{i:03}" for i in range(40)]

    def ask(turn: int) -> list[bool]:
        order = names if turn % 2 else names[::-1]  # where two lock in opposite orders
        with database.writing() as connection:
            return [made for _, made in open_streams(connection, [new(task, n) for n in order])]

    with ThreadPoolExecutor(6) as pool:
        made = [each for answer in pool.map(ask, range(12)) for each in answer]
    assert sum(made) == len(names)


def test_a_page_of_streams_begins_where_the_last_one_ended(database: Database) -> None:
    task = uuid4().hex
    names = ["a", "B", "b", "ä", "Z", "a-1", "a_1", "😀", "\uffee"]
    with database.writing() as connection:
        open_streams(connection, [new(task, name) for name in names])
    found: list[str] = []
    with database.reading() as connection:
        while True:
            after = found[-1] if found else None
            page = list_streams(connection, task, after=after, limit=2)
            if not page:
                break
            found += [stream.unique_id for stream in page]
    assert found == sorted(names)  # by code points, as Python sorts


def test_a_sample_is_of_open_streams_the_same_each_time_and_spread_over_all(
    database: Database,
) -> None:
    task = uuid4().hex
    with database.writing() as connection:
        made = [
            each for each, _ in open_streams(connection, [new(task, f"{i}") for i in range(90)])
        ]
        shut = {each.id for each in made[::3]}
        for stream in shut:
            change_stream(
                connection, stream, rewind=0, max_gap=None, ttl_hours=None, exact=False, closed=1
            )
    with database.reading() as connection:
        few, more = (sample_streams(connection, task, count) for count in (20, 30))
        assert sample_streams(connection, task, 20) == few
        everything = sample_streams(connection, task, 1_000)
    assert everything == {each.id: each.key for each in made if each.id not in shut}
    assert (len(few), len(more)) == (20, 30)
    assert few.items() <= more.items() <= everything.items()
    assert all(few.keys() & {each.id for each in made[i : i + 30]} for i in (0, 30, 60))


def test_a_change_of_a_stream_that_is_not_there_is_an_error(database: Database) -> None:
    with pytest.raises(LookupError), database.writing() as connection:
        change_stream(
            connection, 10**9, rewind=0, max_gap=None, ttl_hours=None, exact=False, closed=None
        )
