"""Forecasts of more steps than were trained for: the median fed back, the intervals widening."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.beyond import steps_fed_back
from models.context import Context, covariates_ahead
from models.forecaster import new_forecaster
from models.predict import point, predict
from models.spec import Spec
from tests.models.histories import GAPS, context_of, loud, spec_of, specs


def far_context_of(spec: Spec, length: int, seed: int, h: int, gaps: str = "none") -> Context:
    """A series with what is known of the `h` steps after it."""
    whole = context_of(spec, length + h, seed, gaps)
    futr = whole.exog[length:, spec.exog_size - spec.n_futr :]
    ahead = whole.exog[length:].copy()
    ahead[:, 2 * len(spec.calendar) : 2 * len(spec.calendar) + len(spec.hist_exog)] = np.nan
    known = np.full((spec.horizon, spec.n_futr), np.nan, np.float32)
    known[:h] = futr[: spec.horizon]
    return Context(whole.y[:length], whole.exog[:length], known, whole.stat, ahead)


@settings(max_examples=40)
@given(
    specs(),
    st.lists(st.tuples(st.integers(1, 60), st.sampled_from(GAPS)), min_size=1, max_size=4),
    st.integers(1, 14),
    st.integers(0, 2**16),
)
def test_the_first_horizon_is_the_forecasters_own_and_later_ones_are_never_surer(
    spec: Spec, shapes: list[tuple[int, str]], h: int, seed: int
) -> None:
    forecaster = loud(spec, seed)
    contexts = [
        far_context_of(spec, length, seed + row, h, gaps)
        for row, (length, gaps) in enumerate(shapes)
    ]
    own, far = predict(forecaster, contexts), predict(forecaster, contexts, h=h)
    assert far.shape == (len(contexts), h, spec.outputs)
    both = min(h, spec.horizon)
    np.testing.assert_array_equal(far[:, :both], own[:, :both])
    seen = ~np.isnan(own).any((1, 2))
    assert np.isfinite(far[seen]).all()
    assert np.isnan(far[~seen]).all()
    assert (np.diff(far[seen], axis=-1) >= 0).all()
    if spec.nonnegative:
        assert (far[seen] >= 0).all()
    elif spec.transform == "none":  # in the units that are fed back
        width = far[..., -1] - far[..., 0]
        for step in range(spec.horizon, h):
            least = width[seen, step % spec.horizon]
            assert (width[seen, step] >= least * (1 - 1e-5) - 1e-9).all()


@given(specs(), st.integers(10, 60), st.integers(5, 12), st.integers(0, 2**16))
@settings(max_examples=40)
def test_the_median_is_what_follows_when_the_medians_have_come_true(
    spec: Spec, length: int, h: int, seed: int
) -> None:
    forecaster = loud(spec, seed)
    context = far_context_of(spec, length, seed, h)
    assert context.ahead is not None
    n_futr = spec.n_futr
    medians: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = []
    while len(medians) * spec.horizon < h:
        passed = len(medians) * spec.horizon
        futr = np.full((spec.horizon, n_futr), np.nan, np.float32)
        known = context.ahead[passed : passed + spec.horizon, spec.exog_size - n_futr :]
        futr[: len(known)] = known
        come = Context(
            np.concatenate([context.y, *medians]),
            np.concatenate([context.exog, context.ahead[:passed]]),
            futr,
            context.stat,
        )
        medians.append(point(spec, predict(forecaster, [come])[0]))
    expected = np.concatenate(medians)[:h]
    far = point(spec, predict(forecaster, [context], h=h)[0])
    size = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(far, expected, rtol=1e-4, atol=1e-4 * size)


@pytest.mark.parametrize("transform", ["none", "log"])
def test_a_seasonal_random_walk_widens_as_the_root_of_the_seasons(transform: str) -> None:
    spec = spec_of(season=(3,), input_size=6, lags=6, transform=transform)
    forecaster = new_forecaster(spec, seed=0)
    with torch.no_grad():
        forecaster.head.state.weight.zero_()
    y = np.tile([20.0, 26.0, 23.0], 4)
    none = np.empty((12, 0), np.float32)
    context = Context(y, none, none[:3], none[0], none)
    far = predict(forecaster, [context], h=12)[0]
    np.testing.assert_allclose(far[:, 1], np.tile(y[:3], 4), rtol=1e-6)
    scale = np.log(far / far[:, 1:2]) if transform == "log" else far - far[:, 1:2]
    for season in range(1, 4):
        expected = np.sqrt(season + 1) * scale[:3]
        rows = scale[3 * season : 3 * season + 3]
        np.testing.assert_allclose(rows, expected, rtol=0.01)
    assert (far > 0).all() or transform == "none"


def test_more_steps_than_the_horizon_want_their_covariates() -> None:
    spec = spec_of(calendar=("hour_of_day",))
    context = context_of(spec, 20, 0)
    with pytest.raises(ValueError, match="7 steps ahead want the covariates"):
        predict(loud(spec, 0), [context], h=7)


def test_covariates_ahead_know_the_calendar_and_the_future_but_no_observation() -> None:
    spec = spec_of(calendar=("hour_of_day",), hist_exog=("wind",), futr_exog=("price",))
    clock = spec.timeline.at(spec.timeline.parse(["2026-03-01T06:00:00Z"])[0], np.arange(2))
    ahead = covariates_ahead(spec, clock, np.array([[5.0], [np.nan]]))
    np.testing.assert_allclose(ahead[0], [1.0, 0.0, np.nan, 5.0], atol=1e-6)
    assert np.isnan(ahead[1, 2:]).all()


@pytest.mark.parametrize(("h", "steps"), [(1, 0), (3, 0), (4, 9), (6, 9), (7, 18)])
def test_what_is_fed_back_is_counted(h: int, steps: int) -> None:
    assert steps_fed_back(spec_of(), h) == steps


def test_series_together_are_series_alone_beyond_the_horizon_too() -> None:
    spec = spec_of(futr_exog=("price",))
    forecaster = loud(spec, 3)
    contexts = [far_context_of(spec, length, length, 8) for length in (40, 12, 25)]
    together = predict(forecaster, contexts, h=8)
    alone = np.concatenate([predict(forecaster, [each], h=8) for each in contexts])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-3)
