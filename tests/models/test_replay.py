"""Streams advanced together over steps of their own are streams advanced alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.forecaster import Forecaster
from models.replay import advanced
from models.spec import Spec
from models.state import State
from tests.models.histories import GAPS, context_of, loud, spec_of, specs, stat_of, steps_of

Shapes = list[tuple[int, str]]


def lived(forecaster: Forecaster, n: int, seed: int) -> State:
    """States of n streams of different ages, as a store would give them."""
    states = []
    for row in range(n):
        context = context_of(forecaster.spec, 11 * row, seed + row)
        young = forecaster.initial_state(1, stat_of(context))
        states.append(forecaster.replay(young, steps_of(context)))
    return State.concatenate(states)


@torch.inference_mode()
@settings(max_examples=30)
@given(
    specs(),
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(GAPS)), min_size=1, max_size=6),
    st.integers(0, 2**16),
)
def test_each_state_goes_its_own_steps_whatever_the_others_do(
    spec: Spec, shapes: Shapes, seed: int
) -> None:
    forecaster = loud(spec, seed)
    before = lived(forecaster, len(shapes), seed)
    news = [context_of(spec, n, seed + 50 + row, gaps) for row, (n, gaps) in enumerate(shapes)]
    together = advanced(forecaster, before, [new.y for new in news], [new.exog for new in news])
    for row, new in enumerate(news):
        alone = before.take(slice(row, row + 1))
        steps = steps_of(new)
        for step in range(len(steps)):
            alone = forecaster.advance(alone, steps.y[:, step], steps.exog[:, step])
        found = together.take(slice(row, row + 1))
        torch.testing.assert_close(found.ring, alone.ring, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(found.memory, alone.memory, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found.stat, alone.stat, rtol=0, atol=0, equal_nan=True)


@torch.inference_mode()
def test_no_streams_and_no_steps_change_nothing() -> None:
    forecaster = loud(spec_of(), 0)
    nothing = np.empty((0, 0), np.float32)
    assert len(advanced(forecaster, forecaster.initial_state(0), [], [])) == 0
    before = lived(forecaster, 3, 0)
    after = advanced(forecaster, before, [np.empty(0)] * 3, [nothing] * 3)
    torch.testing.assert_close(after.memory, before.memory, rtol=0, atol=0)
    torch.testing.assert_close(after.ring, before.ring, rtol=0, atol=0, equal_nan=True)


def test_rows_that_do_not_belong_together_are_refused() -> None:
    forecaster = loud(spec_of(hist_exog=("wind",)), 0)
    state = forecaster.initial_state(1)
    with pytest.raises(ValueError, match="1 states, but 2 rows"):
        advanced(forecaster, state, [np.empty(2)] * 2, [np.empty((2, 1), np.float32)] * 2)
    with pytest.raises(ValueError, match="as many steps"):
        advanced(forecaster, state, [np.empty(2)], [np.empty((3, 1), np.float32)])
