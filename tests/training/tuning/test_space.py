"""What a search may try: the defaults among it, and nothing that cannot be fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna import create_study
from optuna.samplers import RandomSampler
from optuna.trial import FixedTrial

from tests.training.panels import panel_of, seasonal
from training.defaults import default_schedule, default_spec
from training.tuning.space import Space


def space_of(*ys: Any, horizon: int = 4) -> Space:
    return Space.of(
        panel_of(*ys), cells=("lstm", "gru"), horizon=horizon, season=(4,), seed=0, threads=1
    )


def test_the_defaults_are_a_point_of_the_space() -> None:
    y = seasonal(200)
    space, panel = space_of(y), panel_of(y)
    suggested = space.suggest(FixedTrial(space.defaults))  # type: ignore[arg-type]  # as a trial is
    spec, schedule = space.at(suggested)
    assert spec == default_spec(panel, cell="lstm", horizon=4, season=(4,))
    assert schedule == default_schedule(panel, horizon=4, seed=0, threads=1)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    length=st.integers(12, 400),
    horizon=st.integers(1, 40),
    low=st.sampled_from([-30.0, 0.0, 1.0]),
)
def test_every_point_is_a_forecaster_that_fits_the_series(
    seed: int, length: int, horizon: int, low: float
) -> None:
    space = space_of(seasonal(length) + low, horizon=horizon)
    suggested = space.suggest(create_study(sampler=RandomSampler(seed=seed)).ask())
    spec, _ = space.at(suggested)
    assert spec.input_size <= max(1, (length - horizon) // 2, space.spec.input_size)
    ensemble, _ = space.at(suggested, "ensemble")
    assert ensemble.members == ("lstm", "gru")
    assert ensemble.input_size == spec.input_size


@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_values_that_have_no_logarithm_are_taken_as_they_are(low: float) -> None:
    y = np.where(np.arange(100) % 4 == 0, low, 5.0)
    assert space_of(y).transforms == ("none",)
    assert space_of(y + 2.0).transforms == ("none", "log")


def test_counts_that_are_tried_without_a_logarithm_keep_their_resolution() -> None:
    space = space_of(np.arange(100.0) % 4 + 1.0)
    assert space.defaults["transform"] == "log"
    spec, _ = space.at({**space.defaults, "transform": "none"})
    assert spec.resolution == 1.0
