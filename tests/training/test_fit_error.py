"""A fit forecasts steps that it never saw, through gaps too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.forecaster import Forecaster, new_forecaster
from models.metrics import mae
from models.predict import point, predict
from tests.training.panels import panel_of, seasonal, spec_of
from tests.training.trainers import schedule_of
from training.contexts import context
from training.defaults import default_schedule, default_spec
from training.fit import fit
from training.panel import Panel


def error(forecaster: Forecaster, panel: Panel, after: int) -> float:
    """The mean absolute error of all origins from a step on, three steps ahead."""
    spec, errors = forecaster.spec, []
    for origin in range(after, len(panel.series[0]) - 2, 3):
        pasts = [context(panel, series, spec, origin) for series in panel.series]
        truth = np.stack([series.y[origin : origin + 3] for series in panel.series])
        errors.append(mae(truth, point(spec, predict(forecaster, pasts))))
    return float(np.nanmean(errors))


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
@pytest.mark.parametrize("quantiles", [(0.1, 0.5, 0.9), ()], ids=["quantiles", "point"])
def test_a_fit_beats_its_untrained_self_on_steps_that_it_never_saw(
    cell: str, quantiles: tuple[float, ...]
) -> None:
    panel = panel_of(*(seasonal(120, seed) for seed in range(6)))
    # it is not told of the season
    spec = spec_of(cell=cell, quantiles=quantiles, hidden_size=8, season=())
    ends = np.full(6, 105)
    schedule = schedule_of(batches=80, lanes=8, origins=16, learning_rate=1e-2)
    fitted = fit(panel, spec, schedule, cutoffs=ends)
    np.testing.assert_array_equal(fitted.cutoffs, ends)

    untrained = new_forecaster(spec, 0)
    assert error(fitted.forecaster, panel, 105) < 0.5 * error(untrained, panel, 105)


def test_gaps_that_are_filled_in_cost_a_seasonal_series_little() -> None:
    whole = panel_of(*(seasonal(240, seed) for seed in range(4)))
    holes = np.random.default_rng(0).random((4, 240)) < 0.3
    panel = replace(
        whole,
        series=tuple(
            replace(series, y=np.where(hole, np.nan, series.y))
            for series, hole in zip(whole.series, holes, strict=True)
        ),
    )
    schedule = schedule_of(batches=40, lanes=8, origins=16, learning_rate=1e-2, start="near")
    missed = {}
    for name, data, fills in (
        ("no gaps", whole, True),
        ("filled", panel, True),
        ("zeros", panel, False),
    ):
        spec = spec_of(input_size=16, lags=16, fills_gaps=fills)
        fitted = fit(data, spec, schedule, cutoffs=np.full(4, 200))
        missed[name] = error(fitted.forecaster, data, 200)
    assert missed["filled"] < 1.5 * missed["no gaps"]
    assert missed["filled"] < 0.7 * missed["zeros"]


def test_a_stretch_without_demand_does_not_say_that_there_will_be_none() -> None:
    random = np.random.default_rng(0)
    ys = [random.poisson(0.15, 72).astype(float) for _ in range(40)]
    for y in ys:
        y[-12:] = 0.0
    panel = panel_of(*ys)
    spec = default_spec(panel, cell="gru", horizon=6)
    schedule = default_schedule(panel, horizon=6)
    fitted = fit(panel, spec, schedule, cutoffs=np.full(40, 60))
    pasts = [context(panel, series, spec, len(series)) for series in panel.series]
    assert not any(past.y[-spec.input_size :].any() for past in pasts)
    high = predict(fitted.forecaster, pasts)[..., -1]
    # in one month of seven something is sold: that is more than one in forty
    assert np.median(high) > 0.3
