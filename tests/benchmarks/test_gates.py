"""The problems of memory ask for what they say, and cells meet them with as many parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.gates import wilson
from benchmarks.gates_charts import draw_gradients, draw_problems
from benchmarks.gates_problems import (
    LETTERS,
    UNITS,
    WORD,
    Adding,
    Copying,
    Network,
    fitted,
    gradient_by_lag,
    parameters,
)
from models.spec import Recurrence

CELLS = tuple(UNITS)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_sum_is_that_of_two_marked_numbers_one_in_each_half() -> None:
    x, target = Adding(11).draw(50, seeded(0))
    numbers, marks = x.unbind(-1)
    assert (marks[:, :5].sum(1) == 1).all()
    assert (marks[:, 5:].sum(1) == 1).all()
    torch.testing.assert_close(target[:, 0], (numbers * marks).sum(1))


def test_saying_one_always_has_the_memoryless_error() -> None:
    problem = Adding(20)
    _, target = problem.draw(20_000, seeded(0))
    said = torch.ones(20_000, 20, 1)
    assert float(problem.loss(said, target)) == pytest.approx(problem.memoryless, rel=0.05)


def test_the_word_is_to_be_said_after_the_blanks() -> None:
    x, word = Copying(7).draw(30, seeded(0))
    seen = x.argmax(-1)  # (30, 17)
    assert torch.equal(seen[:, :WORD], word)
    assert (seen[:, WORD:] >= LETTERS).all()
    assert ((seen == LETTERS + 1).sum(1) == 1).all()
    assert (seen[:, -WORD] == LETTERS + 1).all()


def test_knowing_the_word_costs_nothing_and_guessing_what_is_said() -> None:
    problem = Copying(7)
    x, word = problem.draw(30, seeded(0))
    said = torch.zeros(*x.shape[:2], LETTERS)
    assert float(problem.loss(said, word)) == pytest.approx(problem.memoryless)
    said[:, -WORD:] = 50 * torch.nn.functional.one_hot(word, LETTERS)
    assert float(problem.loss(said, word)) < 1e-6


def test_the_cells_have_as_many_parameters() -> None:
    counts = [parameters(cell, 2) for cell in CELLS]
    assert max(counts) / min(counts) < 1.02


@pytest.mark.parametrize("cell", CELLS)
def test_a_gradient_by_lag_is_what_a_nudge_changes(cell: Recurrence) -> None:
    torch.manual_seed(0)
    network = Network(cell, 2, 1).double()
    x = torch.rand(1, 6, 2, generator=seeded(1), dtype=torch.float64)
    found = gradient_by_lag(network, x)
    for lag in range(6):
        slopes = []
        for column in range(2):
            nudge = torch.zeros_like(x)
            nudge[0, 5 - lag, column] = 1e-6
            with torch.no_grad():
                change = network(x + nudge)[0, -1, 0] - network(x - nudge)[0, -1, 0]
            slopes.append(float(change) / 2e-6)
        assert float(found[lag]) == pytest.approx(float(np.hypot(slopes[0], slopes[1])), rel=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_a_short_sum_is_learnt(cell: Recurrence) -> None:
    problem = Adding(4)
    _, error = fitted(cell, problem, seed=0, batches=300)
    assert error < 0.5 * problem.memoryless


def test_intervals_of_shares_stay_between_nothing_and_all() -> None:
    np.testing.assert_allclose(wilson(0, 5), (0.0, 0.434), atol=1e-3)
    np.testing.assert_allclose(wilson(5, 5), (0.566, 1.0), atol=1e-3)


def test_charts_are_the_same_for_the_same_numbers(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    norms = {f"{c}, {w}": random.random((3, 9)) for c in CELLS for w in ("untrained", "trained")}
    errors = {
        name: {cell: random.random((2, 3)) for cell in CELLS} for name in ("adding", "copying")
    }
    lengths = {"adding": (5, 10), "copying": (2, 4)}
    for name in ("one", "two"):
        draw_gradients(norms, tmp_path / f"{name}-g.svg")
        draw_problems(errors, lengths, tmp_path / f"{name}-p.svg")
    for kind in "gp":
        one, two = (tmp_path / f"{name}-{kind}.svg" for name in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
