"""What a bundle says of how far back a state reaches is an answer or none, never a guess."""

from __future__ import annotations

import pytest

from models.manifest import Memory, Reach
from tests.models.bundles import MEMORY


@pytest.mark.parametrize(
    ("tolerance", "steps"),
    [
        (0.5, 40),  # looser than what was measured: what was measured is enough
        (1e-2, 40),
        (5e-3, 90),  # between two: the stricter one's
        (1e-3, 90),
        (1e-4, None),  # the stricter one was not reached
        (1e-9, None),  # nothing as strict was measured
    ],
)
def test_the_steps_to_a_tolerance_are_those_of_one_at_least_as_strict(
    tolerance: float, steps: int | None
) -> None:
    assert MEMORY.steps_to(tolerance) == steps


def test_a_stricter_tolerance_that_was_reached_sooner_is_not_asked_for_more() -> None:
    reaches = (
        Reach(tolerance=1e-2, median=9, worst=None),
        Reach(tolerance=1e-3, median=9, worst=9),
    )
    assert Memory(n_series=1, longest=9, reaches=reaches).steps_to(1e-2) == 9
