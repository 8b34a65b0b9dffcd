"""A fit begins with what least squares make of its windows, and strays as far as data say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from models.context import Context
from models.forecaster import Forecaster, new_forecaster
from models.head import seasonal_naive_weights
from models.predict import point, predict
from tests.training.panels import panel_of, seasonal, spec_of
from training.contexts import context
from training.defaults import default_schedule
from training.fit import fit
from training.linear_start import (
    BELIEFS,
    Found,
    begin,
    draw_back,
    keep_better,
    look,
    move,
)
from training.ridge import Line, Trust
from training.schedule import Schedule
from training.validation import newest

Values = NDArray[np.float64]


def pasts_of(*ys: Values, **changes: Any) -> list[Context]:
    panel = panel_of(*ys)
    return [context(panel, each, spec_of(**changes), len(each)) for each in panel.series]


def ends_of(pasts: list[Context]) -> NDArray[np.int64]:
    return np.array([past.y.size for past in pasts], dtype=np.int64)


def autoregressive(length: int, seed: int = 0, noise: float = 1.0) -> Values:
    """Half the value of two steps before, turned over."""
    random, y = np.random.default_rng(seed), np.zeros(length)
    for t in range(2, length):
        y[t] = -0.5 * y[t - 2] + noise * random.normal()
    return y + 100.0


def cyclic(length: int, seed: int = 0) -> Values:
    """A cycle of 5.3 steps, of no season."""
    random, y = np.random.default_rng(seed), np.zeros(length)
    for t in range(2, length):
        y[t] = 1.96 * np.cos(2 * np.pi / 5.3) * y[t - 1] - 0.96 * y[t - 2] + random.normal()
    return y + 100.0


def state_of(forecaster: Forecaster) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in forecaster.state_dict().items()}


def told(
    missed: Tensor | None = None, independent: float = 10.0, line: Line | None = None
) -> Found:
    """What windows of 8 tell of 3 steps ahead: by default nothing but that the errors are few."""
    return Found(
        line or Line(torch.zeros(3, 8), torch.zeros(3)),
        Trust(0.25, 0.0),
        torch.empty(0, 3) if missed is None else missed,
        independent,
    )


def solve(forecaster: Forecaster, pasts: list[Context], ends: NDArray[np.int64]) -> Line | None:
    found = look(forecaster, pasts, ends)
    return None if found is None else found.line


def started(pasts: list[Context], **changes: Any) -> Forecaster:
    forecaster = new_forecaster(spec_of(**changes), 0)
    found = look(forecaster, pasts, ends_of(pasts))
    assert found is not None
    begin(forecaster, found)
    return forecaster.eval()


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


def trained(forecaster: Forecaster) -> None:
    """Move every weight, as training might."""
    with torch.no_grad():
        for each in forecaster.parameters():
            each.add_(0.05 * torch.randn(each.shape, generator=torch.Generator().manual_seed(1)))


def test_the_less_data_the_nearer_forecasts_stay_to_the_start() -> None:
    pasts = pasts_of(seasonal(60))
    far = []
    for length in (0, 90, 10_000_000):
        forecaster = started(pasts)
        start = state_of(forecaster)
        before = predict(forecaster, pasts)
        trained(forecaster)
        draw_back(forecaster, start, [length])
        after = predict(forecaster, pasts)
        far.append(float(np.abs(after - before).mean()))
    # at no data at all what is left is what the gates said in the beginning
    assert far[0] < 0.2 * far[2]
    assert far[0] < far[1] < far[2]


def test_covariates_ahead_begin_at_nothing_and_are_drawn_back_as_gates_are() -> None:
    forecaster = new_forecaster(spec_of(futr_exog=("price",)), 0)
    pasts = pasts_of(seasonal(60))
    begin(forecaster, told())
    start = state_of(forecaster)
    h, z = torch.randn(5, 4), torch.randn(5, 8)
    futr = 3.0 * torch.randn(5, 3, 1)
    torch.testing.assert_close(forecaster.head(h, z, futr), forecaster.head(h, z, None))
    trained(forecaster)
    added = forecaster.head(h, z, futr) - forecaster.head(h, z, None)
    draw_back(forecaster, start, [past.y.size for past in pasts])
    kept = forecaster.head(h, z, futr) - forecaster.head(h, z, None)
    torch.testing.assert_close(kept, added * (20 / 80))


@pytest.mark.parametrize("less", [100, 195])
def test_what_more_data_tell_takes_the_place_of_the_first(less: int) -> None:
    pasts = pasts_of(*(autoregressive(200, seed) for seed in range(3)))
    forecaster = new_forecaster(spec_of(), 0)
    short = look(forecaster, pasts, ends_of(pasts) - less)
    whole = look(forecaster, pasts, ends_of(pasts))
    assert short is not None
    assert whole is not None
    begin(forecaster, short)
    move(forecaster, state_of(forecaster), short, whole)
    other = new_forecaster(spec_of(), 0)
    begin(other, whole)
    np.testing.assert_allclose(predict(forecaster, pasts), predict(other, pasts), rtol=1e-6)


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


def test_hardly_any_errors_say_nothing_of_their_spread() -> None:
    levels = spec_of().quantiles
    errors = torch.tensor([[1.0, 2.0, 3.0]] * 3, dtype=torch.float64)
    assert told(errors).distances(levels) is not None
    errors[0, 2] = torch.nan
    assert told(errors).distances(levels) is None
    assert told(errors).distances(()) is None


@pytest.mark.parametrize("learnt", ["much", "nonsense"])
def test_what_was_learnt_from_no_whole_window_is_kept_if_it_is_better(learnt: str) -> None:
    spec = spec_of()
    pasts = pasts_of(*(seasonal(11, seed=seed) for seed in range(4)), np.ones(11), np.arange(5.0))
    forecaster = new_forecaster(spec, 0)
    start = state_of(forecaster)
    with torch.no_grad():
        if learnt == "nonsense":
            forecaster.head.state.bias.add_(5.0)
        else:
            start["head.state.bias"] = start["head.state.bias"] + 5.0
    before = state_of(forecaster)
    keep_better(forecaster, start, newest(spec, pasts))
    kept = start if learnt == "nonsense" else before
    for name, value in forecaster.state_dict().items():
        torch.testing.assert_close(value, kept[name])


def test_what_is_better_near_ahead_alone_is_not_kept() -> None:
    """Of 20 values 14 are learnt from, in windows of 6 with 12 ahead: none of them whole."""
    spec = spec_of(input_size=6, lags=6, season=(6,), horizon=12)
    ys = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        ys.append(50 + 9 * np.tile(random.normal(size=6), 4)[:20] + random.normal(size=20))
    panel = panel_of(*ys)
    schedule = Schedule(batches=100, lanes=16, steps=16, origins=8, start="linear", threads=1)
    learnt, none = (
        fit(panel, spec, schedule.model_copy(update={"learning_rate": rate}))
        for rate in (1e-2, 1e-12)
    )
    first, best = learnt.history[0].valid_loss, min(each.valid_loss for each in learnt.history)
    assert best < 0.95 * first
    pasts = [context(panel, each, spec, 20) for each in panel.series]
    kept, start = (predict(each.forecaster, pasts) for each in (learnt, none))
    np.testing.assert_allclose(kept, start, rtol=1e-6)


def test_series_move_together() -> None:
    pasts = pasts_of(*(autoregressive(29, seed) for seed in range(4)))
    found = look(new_forecaster(spec_of(), 0), pasts, ends_of(pasts))
    assert found is not None
    # 19 origins each, which are worth 7 whose horizons of 3 do not overlap; 28 in all
    assert found.independent == pytest.approx(14.0)


def test_what_no_window_can_tell_of_is_not_kept() -> None:
    spec = spec_of()
    forecaster = new_forecaster(spec, 0)
    start = state_of(forecaster)
    trained(forecaster)
    keep_better(forecaster, start, newest(spec, pasts_of(np.arange(10.0))))  # 8 and 3 are needed
    for name, value in forecaster.state_dict().items():
        torch.testing.assert_close(value, start[name])


def test_steps_that_no_whole_window_was_followed_by_repeat_the_season() -> None:
    spec = spec_of(horizon=8)  # and a window of 8 are more than the series have
    ys = []
    for seed in range(30):
        season = np.tile(np.random.default_rng(seed).normal(size=4), 4)[:14]
        ys.append(50 + 9 * season + 3 * np.random.default_rng(100 + seed).normal(size=14))
    panel = panel_of(*ys)
    fitted = fit(panel, spec, default_schedule(panel))
    pasts = [context(panel, each, spec, 14) for each in panel.series]
    forecasts = predict(fitted.forecaster, pasts)[..., spec.quantiles.index(0.5)]
    off = np.abs(forecasts - np.stack([np.tile(y[-4:], 2) for y in ys]))
    assert off.mean() < 0.003 * np.stack(ys).std()


def test_a_fit_that_learns_nothing_better_is_its_start() -> None:
    schedule = Schedule(
        batches=10, lanes=4, steps=16, origins=8, learning_rate=1e-12, start="linear", threads=1
    )
    panel = panel_of(*(autoregressive(200, seed) for seed in range(3)))
    found = fit(panel, spec_of(), schedule)
    assert found.history[0].step == 0
    assert found.history[0].train_loss is None
    losses = [record.valid_loss for record in found.history]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)
