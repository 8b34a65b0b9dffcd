"""Streams in memory: the longest unused goes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.slots import Loaded
from service.streams.head import Options, young
from service.streams.rebuild import Rebuilt
from service.streams.resident import Residents
from store.streams import Stream


def rebuilt(loaded: Loaded, number: int) -> Rebuilt:
    """A stream without observations."""
    return Rebuilt(
        Stream(number, "t", str(number), "", 0, None, None, False, None, 0, None, 0),
        Options(0, 0, 0, None),
        young(0),
        loaded.forecaster.initial_state(1),
        0,
    )


@pytest.fixture(scope="module")
def loaded(versions: dict[str, list[Loaded]]) -> list[Loaded]:
    return versions["counted"]


@given(st.lists(st.tuples(st.sampled_from("puugd"), st.integers(0, 9)), max_size=60))
def test_it_is_a_list_in_the_order_of_use(
    loaded: list[Loaded], steps: list[tuple[str, int]]
) -> None:
    residents = Residents(4)
    order: list[int] = []
    for kind, number in steps:
        key = "t", str(number)
        stream = residents.get(key)
        assert (stream is not None) == (number in order)
        if stream is None:
            if kind == "p":
                residents.put(rebuilt(loaded[number % 2], number), key, loaded[number % 2])
                order.append(number)
        else:
            order.remove(number)
            if kind == "d":
                residents.drop(stream)
                residents.drop(stream)  # again, which is nothing
                assert stream not in residents
            else:
                order.append(number)
        assert [int(each.key[1]) for each in residents] == order
        excess = order[: max(len(order) - 4, 0)]
        assert [int(each.key[1]) for each in residents.excess()] == excess
        rows = [(id(each.arena), each.row) for each in residents]
        assert len(set(rows)) == len(rows)


def test_one_that_was_dropped_does_not_take_its_successor_along(loaded: list[Loaded]) -> None:
    residents = Residents(4)
    key = "t", "1"
    residents.put(rebuilt(loaded[0], 1), key, loaded[0])
    first = residents.get(key)
    assert first is not None
    residents.drop(first)
    residents.put(rebuilt(loaded[0], 1), key, loaded[0])
    residents.drop(first)
    assert residents.get(key) is not None
    assert first not in residents


def test_a_version_without_streams_takes_no_memory(loaded: list[Loaded]) -> None:
    residents = Residents(4)
    for number, version in enumerate((*loaded, *loaded)):
        residents.put(rebuilt(version, number), ("t", str(number)), version)
        stream = residents.get(("t", str(number)))
        assert stream is not None
        residents.drop(stream)
    assert not residents._arenas
