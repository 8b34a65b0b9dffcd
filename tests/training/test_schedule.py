"""The learning rate's one cycle, and when validation is looked at."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from training.schedule import Schedule


def test_the_rate_rises_over_the_first_tenth_and_falls_to_nothing() -> None:
    schedule = Schedule(batches=1000, learning_rate=3e-3)
    rates = [schedule.rate(batch) for batch in range(1000)]
    assert rates[0] == pytest.approx(3e-3 / 25)
    assert rates[50] == pytest.approx((3e-3 + 3e-3 / 25) / 2)
    assert max(rates) == pytest.approx(3e-3)
    assert rates.index(max(rates)) == 100
    assert rates[:101] == sorted(rates[:101])
    assert rates[100:] == sorted(rates[100:], reverse=True)
    assert rates[-1] < 1e-7


@given(st.integers(1, 3000), st.floats(1e-6, 1.0))
def test_every_batch_has_a_rate_within_the_schedule_s(batches: int, top: float) -> None:
    schedule = Schedule(batches=batches, learning_rate=top)
    rates = [schedule.rate(batch) for batch in range(batches + 1)]
    assert all(0 < rate <= top * (1 + 1e-12) + 1e-9 for rate in rates)


@given(st.integers(1, 500), st.integers(1, 40))
def test_validation_is_looked_at_evenly_and_at_the_end(batches: int, evaluations: int) -> None:
    schedule = Schedule(batches=batches, evaluations=evaluations)
    looks = [batch for batch in range(1, batches + 1) if schedule.evaluates(batch)]
    assert looks[-1] == batches
    gaps = [b - a for a, b in zip([0, *looks], looks, strict=False)]
    assert len(set(gaps[:-1])) <= 1
    assert gaps[-1] <= gaps[0]
    assert min(batches, evaluations) <= len(looks) <= 2 * evaluations + 1


@pytest.mark.parametrize(
    "changes",
    [
        {"batches": 0},
        {"lanes": 0},
        {"steps": 4, "origins": 5},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"weight_decay": -1.0},
        {"clip": float("inf")},
        {"seed": -1},
        {"threads": -1},
        {"momentum": 0.9},
    ],
    ids=str,
)
def test_a_schedule_that_cannot_be_kept_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Schedule(**changes)
