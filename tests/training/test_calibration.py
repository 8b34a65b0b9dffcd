"""Intervals that were too narrow or too wide on unseen steps cover what they say afterwards."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.context import Context
from models.forecaster import Forecaster, new_forecaster
from models.predict import predict
from models.spec import Spec
from tests.training.panels import spec_of
from training.calibration import calibrate, measured
from training.held_out import HeldOut, held_out

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
Z = np.array([NormalDist().inv_cdf(level) for level in LEVELS])


def spec(**changes: Any) -> Spec:
    return spec_of(**({"quantiles": LEVELS} | changes))


def held_of(forecaster: Forecaster, n: int, *, length: int = 60, end: int = 48) -> HeldOut:
    random = np.random.default_rng(0)
    spec, n_futr = forecaster.spec, forecaster.spec.n_futr

    def covariates(steps: int) -> NDArray[np.float32]:
        return random.normal(size=(steps, n_futr)).astype(np.float32)

    pasts = [
        Context(
            random.normal(10, 1, size=length),
            covariates(length),
            covariates(spec.horizon),
            np.zeros(0, np.float32),
        )
        for _ in range(n)
    ]
    return held_out(spec, pasts, np.full(n, end), most=512, seed=0)


def missed_by(spread: float, n: int = 4000, horizon: int = 3) -> NDArray[np.float64]:
    """Normal truths less the quantiles (n, horizon, Q) of a normal of another spread."""
    truth = np.random.default_rng(1).normal(size=(n, horizon, 1))
    return np.asarray(truth - spread * Z)


@pytest.mark.parametrize("spread", [0.5, 0.8, 1.0, 1.6])
def test_many_stretches_bring_every_quantile_to_its_level(spread: float) -> None:
    factors = measured(spec(horizon=3), missed_by(spread), stretches=1e6)
    np.testing.assert_allclose(factors[:, Z != 0], 1 / spread, rtol=0.06)
    assert (factors[:, Z == 0] == 1).all()


def test_each_stretch_moves_the_factors_further_from_one() -> None:
    few, some, many = (
        measured(spec(horizon=3), missed_by(0.5), stretches=n)[0, 0] for n in (1, 4, 400)
    )
    assert 1 < few < some < many < 2.1


def test_few_stretches_move_all_quantiles_alike() -> None:
    by = missed_by(0.7)
    by[..., 0] += 5.0  # one that is much too low
    factors = measured(spec(horizon=3), by, stretches=0.5)
    assert factors[:, Z != 0].max() / factors[:, Z != 0].min() < 1.05


def test_steps_ahead_that_are_worse_are_stretched_more() -> None:
    by = np.concatenate([missed_by(1.0, horizon=1), missed_by(0.5, horizon=1)], axis=1)
    factors = measured(spec(horizon=2), by, stretches=1e6)
    np.testing.assert_allclose(factors[:, 0], [1.0, 2.0], rtol=0.06)


def test_known_future_covariates_have_all_steps_ahead_stretched_alike() -> None:
    by = np.concatenate([missed_by(1.0, horizon=1), missed_by(0.5, horizon=1)], axis=1)
    factors = measured(spec(horizon=2, futr_exog=("price",)), by, stretches=1e6)
    np.testing.assert_array_equal(factors[0], factors[1])


def test_quantiles_that_fall_together_and_unknown_truths_change_nothing() -> None:
    assert (measured(spec(horizon=3), np.zeros((9, 3, 5)), stretches=9) == 1).all()
    assert (measured(spec(horizon=3), np.full((9, 3, 5), np.nan), stretches=9) == 1).all()


@pytest.mark.parametrize("futr", [(), ("price",)])
def test_the_network_itself_forecasts_the_stretched_quantiles_about_the_same_median(
    futr: tuple[str, ...],
) -> None:
    shape = spec(futr_exog=futr, horizon=3)
    forecaster = new_forecaster(shape, 0)
    held = held_of(forecaster, 40)
    if futr:
        with torch.no_grad():
            weight = forecaster.head.futr_output.weight  # (Q, units): too small to cross quantiles
            weight.copy_(torch.linspace(-0.01, 0.01, len(LEVELS))[:, None])
    before = predict(forecaster, held.histories)
    calibrate(forecaster, held)
    after = predict(forecaster, held.histories)
    np.testing.assert_allclose(after[..., 2], before[..., 2], rtol=1e-5)
    wide = ((after - after[..., 2:3])[..., Z != 0]) / (before - before[..., 2:3])[..., Z != 0]
    assert wide.min() > 1.05  # half a window's scale is too little for noise
    np.testing.assert_allclose(wide, wide[:1].repeat(len(wide), 0), rtol=1e-3)


def test_coverage_of_other_series_comes_near_what_is_said() -> None:
    forecaster = new_forecaster(spec(), 0)
    other = held_of(forecaster, 300, length=80, end=70)

    def inside() -> float:
        values, known = predict(forecaster, other.histories), np.isfinite(other.truth)
        between = (values[..., 1] <= other.truth) & (other.truth <= values[..., 3])
        return float(between[known].mean())

    raw = inside()
    calibrate(forecaster, held_of(forecaster, 200))
    assert abs(inside() - 0.8) < 0.03 < abs(raw - 0.8)


def test_a_point_head_and_nothing_held_back_are_left_alone() -> None:
    for shape, n in ((spec(quantiles=()), 3), (spec(), 0)):
        forecaster = new_forecaster(shape, 0)
        before = {name: value.clone() for name, value in forecaster.state_dict().items()}
        calibrate(forecaster, held_of(forecaster, n))
        torch.testing.assert_close(forecaster.state_dict(), before)
