"""Rows of states: each its owner's alone, whoever comes and goes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.forecaster import new_forecaster
from models.state import State
from service.streams.arena import Arena
from tests.service.streams.versions import COVARIATES, tiny

FORECASTER = new_forecaster(tiny(cell="lstm", **COVARIATES), 0)
CAPACITY = 6


def state_of(numbers: list[float]) -> State:
    """States that are recognised by a number each."""
    young = FORECASTER.initial_state(len(numbers), torch.zeros(len(numbers), 1))
    fill = torch.tensor(numbers)
    return State(
        young.ring.zero_() + fill[:, None].double(),
        young.memory.zero_() + fill[:, None, None],
        young.stat + fill[:, None],
    )


def numbers_in(arena: Arena, row: int) -> set[float]:
    state = arena.gather([row])
    parts = (state.ring, state.memory, state.stat)
    return {float(value) for part in parts for value in part.flatten()}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, CAPACITY - 1)), max_size=40))
def test_a_row_has_one_owner_and_what_he_put_there(steps: list[tuple[int, int]]) -> None:
    arena = Arena(FORECASTER, CAPACITY)
    owned: dict[int, float] = {}
    number = 0.0
    for kind, which in steps:
        number += 1
        if kind == 0:
            if len(owned) == CAPACITY:
                with pytest.raises(IndexError):
                    arena.take()
                continue
            row = arena.take()
            assert row not in owned
            arena.scatter([row], state_of([number]))
            owned[row] = number
        elif owned and kind == 1:
            row = list(owned)[which % len(owned)]
            del owned[row]
            arena.give_back(row)
        elif owned and kind == 2:
            rows = list(owned)[: which + 1]
            numbers = [number + place / 8 for place in range(len(rows))]
            arena.scatter(rows, state_of(numbers))
            owned.update(zip(rows, numbers, strict=True))
        assert len(arena) == len(owned)
        for row, expected in owned.items():
            assert numbers_in(arena, row) == {expected}


def test_several_rows_come_in_the_order_asked_for() -> None:
    arena = Arena(FORECASTER, CAPACITY)
    rows = [arena.take() for _ in range(4)]
    arena.scatter(rows, state_of([1, 2, 3, 4]))
    assert arena.gather([rows[3], rows[0]]).stat[:, 0].tolist() == [4, 1]
    assert arena.gather([rows[2]]).stat[:, 0].tolist() == [3]


@pytest.mark.parametrize("count", [1, 3])
def test_a_state_that_was_advanced_goes_back_to_its_row(count: int) -> None:
    arena = Arena(FORECASTER, CAPACITY)
    rows = [arena.take() for _ in range(count)]
    young = FORECASTER.initial_state(count, torch.full((count, 1), 2.0))
    arena.scatter(rows, young)
    with torch.inference_mode():
        advanced = FORECASTER.advance(arena.gather(rows), torch.full((count,), 5.0).double())
        assert torch.equal(arena.gather(rows).memory, young.memory)  # nothing is shown yet
        arena.scatter(rows, advanced)
    assert torch.equal(arena.gather(rows).memory, advanced.memory)
    assert arena.gather(rows).ring[:, -1].tolist() == [5.0] * count
    assert arena.gather(rows).stat.tolist() == [[2.0]] * count
