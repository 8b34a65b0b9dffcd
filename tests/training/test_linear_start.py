"""A fit begins with what least squares make of its windows, and strays as far as data say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from models.context import Context
from models.forecaster import Forecaster, new_forecaster
from models.head import seasonal_naive_weights
from models.predict import point, predict
from tests.training.panels import seasonal, spec_of
from tests.training.starts import Values, autoregressive, ends_of, pasts_of, started, told
from training.linear_start import BELIEFS, look
from training.ridge import Line


def cyclic(length: int, seed: int = 0) -> Values:
    """A cycle of 5.3 steps, of no season."""
    random, y = np.random.default_rng(seed), np.zeros(length)
    for t in range(2, length):
        y[t] = 1.96 * np.cos(2 * np.pi / 5.3) * y[t - 1] - 0.96 * y[t - 2] + random.normal()
    return y + 100.0


def solve(forecaster: Forecaster, pasts: list[Context], ends: NDArray[np.int64]) -> Line | None:
    found = look(forecaster, pasts, ends)
    return None if found is None else found.line


def test_what_is_linear_is_found() -> None:
    pasts = pasts_of(*(autoregressive(600, seed) for seed in range(8)))
    forecaster = started(pasts)
    test = pasts_of(*(autoregressive(40, seed) for seed in range(100, 140)))
    said = point(forecaster.spec, predict(forecaster, test))[:, 1]  # two steps ahead
    best = 100.0 - 0.5 * (np.array([past.y[-1] for past in test]) - 100.0)
    naive = np.array([past.y[-3] for past in test])
    assert np.abs(said - best).mean() < 0.5 * np.abs(naive - best).mean()


def test_where_there_is_little_it_knows_a_season_and_a_trend_all_the_same() -> None:
    pasts = pasts_of(np.arange(20) + np.tile([0.0, 6.0, 3.0, -5.0], 5))
    forecaster = started(pasts)
    said = point(forecaster.spec, predict(forecaster, pasts))[0]
    np.testing.assert_allclose(said, [20.0, 27.0, 25.0], atol=1.0)


def test_intervals_begin_as_wide_as_the_errors_are() -> None:
    pasts = pasts_of(*(autoregressive(400, seed) for seed in range(4)))
    forecaster = started(pasts)
    fresh = pasts_of(*(autoregressive(43, seed) for seed in range(200, 500)))
    known = [Context(past.y[:40], past.exog[:40], past.futr, past.stat) for past in fresh]
    truth = np.stack([past.y[40:43] for past in fresh])  # (300, horizon)
    said = predict(forecaster, known)
    inside = (truth >= said[..., 1]) & (truth <= said[..., 3])  # 0.1 and 0.9
    assert 0.74 < inside.mean() < 0.86


def test_gaps_and_ragged_ends_are_left_out() -> None:
    random = np.random.default_rng(3)
    whole = [autoregressive(400, seed) for seed in range(4)]
    holed = [np.where(random.random(y.size) < 0.1, np.nan, y) for y in whole]
    forecaster = new_forecaster(spec_of(), 0)
    one = solve(forecaster, pasts_of(*whole), ends_of(pasts_of(*whole)))
    other = solve(forecaster, pasts_of(*holed), ends_of(pasts_of(*holed)))
    assert one is not None
    assert other is not None
    assert torch.isfinite(other.weight).all()
    newest = float(one.weight[1, -1])  # two steps ahead
    assert newest < -0.2
    assert float(other.weight[1, -1]) == pytest.approx(newest, abs=0.1)


@pytest.mark.parametrize("length", [1, 8, 10])
def test_too_short_series_are_believed_to_repeat_their_season(length: int) -> None:
    pasts = pasts_of(seasonal(length))
    line = solve(new_forecaster(spec_of(), 0), pasts, ends_of(pasts))
    assert line is not None
    np.testing.assert_array_equal(line.weight, seasonal_naive_weights(spec_of()))
    np.testing.assert_array_equal(line.bias, 0.0)


def test_a_network_without_a_map_has_no_line() -> None:
    pasts = pasts_of(seasonal(100), skip=False)
    assert solve(new_forecaster(spec_of(skip=False), 0), pasts, ends_of(pasts)) is None


def test_all_missing_tells_nothing() -> None:
    found = look(new_forecaster(spec_of(), 0), pasts_of(np.full(100, np.nan)), np.array([100]))
    assert found is not None
    assert found.trust.share == 0.0
    assert not len(found.missed)


def test_wild_series_do_not_say_how_regular_ones_are_forecast() -> None:
    random = np.random.default_rng(0)
    regular = [np.tile(random.normal(size=4), 10) + 1e-3 * random.normal(size=40) for _ in range(5)]
    wild = [random.normal(size=40).cumsum() for _ in range(20)]
    forecaster, pasts = new_forecaster(spec_of(), 0), pasts_of(*regular, *wild)
    line = solve(forecaster, pasts, ends_of(pasts))
    assert line is not None
    naive = seasonal_naive_weights(spec_of()).double()
    for past in pasts[:5]:
        values = torch.from_numpy(past.y)
        windows = values.unfold(0, 8, 1)[:-3]  # (N, 8)
        z = (windows - windows.mean(1, keepdim=True)) / windows.std(1, correction=0, keepdim=True)
        assert (z @ (line.weight - naive).T + line.bias).abs().max() < 0.02


def test_windows_are_trusted_more_where_smoothing_is_plainly_wrong() -> None:
    forecaster = new_forecaster(spec_of(), 0)
    steep = pasts_of(*(cyclic(400, seed) for seed in range(4)))
    steady = pasts_of(seasonal(120))
    for pasts, least, most in ((steep, 0.95, 1.0), (steady, 0.0, 0.6)):
        found = look(forecaster, pasts, ends_of(pasts))
        assert found is not None
        assert least <= found.trust.share <= most
    short = look(forecaster, pasts_of(cyclic(60)), np.array([60]))
    assert short is not None
    assert short.trust.belief == BELIEFS[0]


def test_errors_are_those_of_windows_that_were_not_learnt_from() -> None:
    forecaster = new_forecaster(spec_of(), 0)
    pasts = pasts_of(np.random.default_rng(1).normal(size=40))
    found = look(forecaster, pasts, ends_of(pasts))
    assert found is not None
    assert found.missed.shape == (30, 3)
    many = np.random.default_rng(2).normal(size=2_000)
    fresh = look(forecaster, pasts_of(many), np.array([2_000]))
    assert fresh is not None
    assert float(found.missed.square().mean()) > 0.9 * float(fresh.missed.square().mean())


def test_many_errors_are_spread_as_they_are() -> None:
    levels = spec_of().quantiles
    missed = torch.from_numpy(np.random.default_rng(0).exponential(size=(50_000, 3)) - 1.0)
    distances = told(missed, independent=1e6).distances(levels)
    assert distances is not None
    exact = -np.log1p(-np.array(levels)) - np.log(2.0)  # the exponential's, from its median
    np.testing.assert_allclose(distances, np.tile(exact, (3, 1)), atol=0.1)


@pytest.mark.parametrize("independent", [1.0, 4.0, 20.0])
def test_the_fewer_errors_there_are_the_wider_forecasts_begin(independent: float) -> None:
    levels = spec_of().quantiles
    one_sided = torch.from_numpy(np.random.default_rng(0).uniform(1.0, 2.0, size=(30, 3)))
    few = told(one_sided, independent).distances(levels)
    more = told(one_sided, 2 * independent).distances(levels)
    assert few is not None
    assert more is not None
    low, middle, high = (levels.index(level) for level in (0.1, 0.5, 0.9))
    assert (few[:, middle] == 0).all()
    assert (few[:, high] > more[:, high]).all()
    assert (few[:, low] < more[:, low]).all()
    rms = one_sided.square().mean(0).sqrt()
    part = 20 / (independent + 20)  # all errors have one sign, and are expected on both
    assert (few[:, low] < -part * stats.norm.ppf(0.9) * rms).all()


def test_no_extreme_that_few_errors_let_expect_lies_beyond_what_was_seen() -> None:
    levels = (0.025, 0.1, 0.5, 0.9, 0.975)
    errors = torch.tensor([[-3.0], [2.0], [3.0]], dtype=torch.float64).expand(3, 3)
    free, held = (told(errors, 1.5, apart=apart).distances(levels) for apart in (1e9, 4.0))
    assert free is not None
    assert held is not None
    assert free.abs().max() > 10.0
    assert held.abs().max() < 5.0
    inner = slice(1, 4)
    torch.testing.assert_close(held[:, inner].sign(), free[:, inner].sign())


def test_a_short_series_of_many_sizes_is_not_forecast_to_explode() -> None:
    low, high = (41.0, 42.0, 40.0, 43.0), (3500.0, 3400.0, 3450.0, 3500.0)
    y = np.array([*low, *high, *low, 300.0, 3000.0])  # windows of four are calm, or leap
    spec = {"input_size": 4, "lags": 4, "season": (), "transform": "log", "log_floor": 0.4}
    pasts = pasts_of(y)
    said = predict(started(pasts, **spec), pasts)
    assert np.isfinite(said).all()
    assert said.max() < (y.max() / y.min()) ** 2 * y.max()


def test_hardly_any_errors_say_nothing_of_their_spread() -> None:
    levels = spec_of().quantiles
    errors = torch.tensor([[1.0, 2.0, 3.0]] * 3, dtype=torch.float64)
    assert told(errors).distances(levels) is not None
    errors[0, 2] = torch.nan
    assert told(errors).distances(levels) is None
    assert told(errors).distances(()) is None


def test_series_move_together() -> None:
    pasts = pasts_of(*(autoregressive(29, seed) for seed in range(4)))
    found = look(new_forecaster(spec_of(), 0), pasts, ends_of(pasts))
    assert found is not None
    # 19 origins each, which are worth 7 whose horizons of 3 do not overlap; 28 in all
    assert found.independent == pytest.approx(14.0)
