"""The measured memory is what a bounded replay needs to forecast as the whole history does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from models.context import Context
from models.forecaster import Forecaster
from models.predict import predict
from models.transform import to_network
from tests.models.histories import context_of, loud, spec_of
from training.memory import TOLERANCES, measure_memory


def forecaster_of(**changes: Any) -> Forecaster:
    return loud(spec_of(layers=2, futr_exog=("price",), **changes), 0)


def newest(past: Context, n: int) -> Context:
    return replace(past, y=past.y[-n:], exog=past.exog[-n:])


def apart(forecaster: Forecaster, past: Context, n: int) -> float:
    """Distance of the forecasts from the newest n steps and from all, in scales of the window."""
    spec = forecaster.spec
    x = to_network(torch.from_numpy(predict(forecaster, [newest(past, n), past])), spec)
    ring = to_network(torch.from_numpy(past.y[-spec.input_size :]), spec)
    return float((x[0] - x[1]).abs().max() / forecaster.encoder.scaled(ring).scale)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("transform", ["none", "log"])
def test_a_replay_of_the_steps_it_names_is_as_near_as_it_says(cell: str, transform: str) -> None:
    forecaster = forecaster_of(cell=cell, transform=transform)
    pasts = [context_of(forecaster.spec, 90 + row, row, "scattered") for row in range(5)]
    memory = measure_memory(forecaster, pasts)
    assert memory is not None
    assert memory.n_series == 5
    assert [reach.tolerance for reach in memory.reaches] == list(TOLERANCES)
    assert memory.reaches[0].worst is not None
    for reach in memory.reaches:
        if reach.worst is None:
            continue
        assert reach.median is not None
        assert forecaster.spec.input_size <= reach.median <= reach.worst <= memory.longest
        # the margin is float32's, in which both are computed
        assert max(apart(forecaster, past, reach.worst) for past in pasts) < reach.tolerance + 1e-6


def test_what_never_forgets_within_the_series_has_no_number() -> None:
    forecaster = forecaster_of(cell="gru")
    with torch.no_grad():  # gates that keep 98 of 100 parts of the state at each step
        for layer in range(2):
            getattr(forecaster.recurrent.kernel, f"bias_ih_l{layer}")[4:8] = 4.0
    memory = measure_memory(forecaster, [context_of(forecaster.spec, 60, 0)])
    assert memory is not None
    assert memory.steps_to(1e-3) is None


def test_a_forecaster_without_memory_needs_its_window() -> None:
    forecaster = forecaster_of()
    with torch.no_grad():
        forecaster.head.state.weight.zero_()
        forecaster.head.futr_state.weight.zero_()
    memory = measure_memory(forecaster, [context_of(forecaster.spec, 60, 0)])
    assert memory is not None
    assert memory.steps_to(1e-6) == forecaster.spec.input_size


def test_series_too_short_to_tell_give_none() -> None:
    forecaster = forecaster_of()
    short = [context_of(forecaster.spec, length, 0) for length in (0, 3, 15)]
    assert measure_memory(forecaster, short) is None
    unseen = context_of(forecaster.spec, 60, 0)
    assert measure_memory(forecaster, [replace(unseen, y=np.full(60, np.nan))]) is None


def test_series_too_short_to_tell_say_nothing_of_the_others() -> None:
    forecaster = forecaster_of()
    long, short = context_of(forecaster.spec, 90, 0), context_of(forecaster.spec, 30, 1)
    assert measure_memory(forecaster, [short, long]) == measure_memory(forecaster, [long])
