"""Covariates are scaled by what they were in the data that is learnt from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from models.context import Context
from models.forecaster import new_forecaster
from tests.training.panels import HOURS, spec_of
from training.scaling import scale_covariates

SPEC = spec_of(
    HOURS, calendar=("hour_of_day",), hist_exog=("a",), futr_exog=("b",), stat_exog=("c", "d")
)


def past(seed: int, length: int = 40) -> Context:
    random = np.random.default_rng(seed)
    exog = random.normal([0, 0, 5, -100], [1, 1, 2, 30], size=(length, 4)).astype(np.float32)
    exog[random.random(length) < 0.2, 2:] = np.nan
    stat = np.array([10.0 * seed, 7.0], dtype=np.float32)
    return Context(np.zeros(length), exog, np.full((3, 1), 1e9, dtype=np.float32), stat)


def test_each_covariate_is_scaled_by_its_mean_and_deviation_over_all_series() -> None:
    forecaster, pasts = new_forecaster(SPEC, 0), [past(1, 30), past(2, 50)]
    scale_covariates(forecaster, pasts)
    encoder = forecaster.encoder
    together = np.concatenate([each.exog for each in pasts])[:, 2:]
    np.testing.assert_allclose(encoder.exog_loc[2:], np.nanmean(together, axis=0), rtol=1e-5)
    np.testing.assert_allclose(encoder.exog_scale[2:], np.nanstd(together, axis=0), rtol=1e-5)
    np.testing.assert_allclose(encoder.stat_loc, [15.0, 7.0])
    np.testing.assert_allclose(encoder.stat_scale, [5.0, 1.0])


def test_the_calendar_is_left_as_it_is() -> None:
    forecaster = new_forecaster(SPEC, 0)
    scale_covariates(forecaster, [past(1)])
    assert forecaster.encoder.exog_loc[:2].tolist() == [0.0, 0.0]
    assert forecaster.encoder.exog_scale[:2].tolist() == [1.0, 1.0]


def test_what_never_changes_or_is_never_known_keeps_its_scale() -> None:
    forecaster, still = new_forecaster(SPEC, 0), past(1)
    still.exog[:, 2], still.exog[:, 3] = 4.0, np.nan
    scale_covariates(forecaster, [replace(still, stat=np.full(2, np.nan, dtype=np.float32))])
    encoder = forecaster.encoder
    assert encoder.exog_loc[2:].tolist() == [4.0, 0.0]
    assert encoder.exog_scale[2:].tolist() == [1.0, 1.0]
    assert encoder.stat_scale.tolist() == [1.0, 1.0]


def test_scales_are_no_weights() -> None:
    names = {name for name, _ in new_forecaster(SPEC, 0).named_parameters()}
    assert not any("loc" in name or "scale" in name for name in names)
    assert all(torch.is_tensor(each) for each in new_forecaster(SPEC, 0).buffers())


def test_of_categories_the_share_is_taken_away_and_rare_ones_are_not_made_loud() -> None:
    spec = spec_of(stat_exog=("area", "kind"), categorical=(("kind", ("a", "b")),))
    forecaster, none = new_forecaster(spec, 0), np.zeros((5, 0), np.float32)
    scale_covariates(
        forecaster,
        [
            Context(np.zeros(5), none, none, np.array(stat, np.float32))
            for stat in ([10, 0], [30, 0], [20, 1], [20, np.nan], [20, 0])
        ],
    )
    np.testing.assert_allclose(forecaster.encoder.stat_loc, [20.0, 0.75, 0.25])
    assert forecaster.encoder.stat_scale[1:].tolist() == [1.0, 1.0]
