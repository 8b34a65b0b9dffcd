"""A network begins where windows tell it to, and strays as far as data say."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch

from models.forecaster import Forecaster, new_forecaster
from models.predict import predict
from tests.training.panels import panel_of, seasonal, spec_of
from tests.training.starts import autoregressive, ends_of, pasts_of, regimes, started, told
from tests.training.trainers import schedule_of
from training.beginning import begin, draw_back, keep_better, move, weights_of
from training.contexts import context
from training.defaults import default_schedule
from training.fit import fit
from training.linear_start import look
from training.loop import Trainer
from training.schedule import Schedule, Start
from training.train import train_members
from training.validation import newest, validation


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
        start = weights_of(forecaster)
        before = predict(forecaster, pasts)
        trained(forecaster)
        draw_back(forecaster, start, [length])
        after = predict(forecaster, pasts)
        far.append(float(np.abs(after - before).mean()))
    # at no data at all what is left is what the gates said in the beginning
    assert far[0] < 0.2 * far[2]
    assert far[0] < far[1] < far[2]


@pytest.mark.parametrize("part", ["futr_exog", "gated"])
def test_what_begins_at_nothing_is_drawn_back_as_gates_are(part: str) -> None:
    changes = {"futr_exog": ("price",)} if part == "futr_exog" else {"gated": 5}
    forecaster = new_forecaster(spec_of(**changes), 0)
    pasts = pasts_of(seasonal(60))
    begin(forecaster, told())
    start = weights_of(forecaster)
    h, z = torch.randn(5, 4), torch.randn(5, 8)
    futr = 3.0 * torch.randn(5, 3, 1) if part == "futr_exog" else None

    def with_and_without() -> tuple[torch.Tensor, torch.Tensor]:
        bare = deepcopy(forecaster.head)
        torch.nn.init.zeros_((bare.gate_output if part == "gated" else bare.futr_output).weight)
        return forecaster.head(h, z, futr), bare(h, z, futr)

    torch.testing.assert_close(*with_and_without())
    trained(forecaster)
    whole, bare = with_and_without()
    added = whole - bare
    draw_back(forecaster, start, [past.y.size for past in pasts])
    whole, bare = with_and_without()
    torch.testing.assert_close(whole - bare, added * (20 / 80))


@pytest.mark.parametrize("less", [100, 195])
def test_what_more_data_tell_takes_the_place_of_the_first(less: int) -> None:
    pasts = pasts_of(*(autoregressive(200, seed) for seed in range(3)))
    forecaster = new_forecaster(spec_of(), 0)
    short = look(forecaster, pasts, ends_of(pasts) - less)
    whole = look(forecaster, pasts, ends_of(pasts))
    assert short is not None
    assert whole is not None
    begin(forecaster, short)
    move(forecaster, weights_of(forecaster), short, whole)
    other = new_forecaster(spec_of(), 0)
    begin(other, whole)
    np.testing.assert_allclose(predict(forecaster, pasts), predict(other, pasts), rtol=1e-6)


@pytest.mark.parametrize("learnt", ["much", "nonsense"])
def test_what_was_learnt_from_no_whole_window_is_kept_if_it_is_better(learnt: str) -> None:
    spec = spec_of()
    pasts = pasts_of(*(seasonal(11, seed=seed) for seed in range(4)), np.ones(11), np.arange(5.0))
    forecaster = new_forecaster(spec, 0)
    start = weights_of(forecaster)
    with torch.no_grad():
        if learnt == "nonsense":
            forecaster.head.state.bias.add_(5.0)
        else:
            start["head.state.bias"] = start["head.state.bias"] + 5.0
    before = weights_of(forecaster)
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
    schedule = Schedule(batches=100, lanes=16, steps=16, origins=8, start="near", threads=1)
    learnt, none = (
        fit(panel, spec, schedule.model_copy(update={"learning_rate": rate}))
        for rate in (1e-2, 1e-12)
    )
    first, best = learnt.history[0].valid_loss, min(each.valid_loss for each in learnt.history)
    assert best < 0.95 * first
    pasts = [context(panel, each, spec, 20) for each in panel.series]
    kept, start = (predict(each.forecaster, pasts) for each in (learnt, none))
    np.testing.assert_allclose(kept, start, rtol=1e-6)


def test_what_no_window_can_tell_of_is_not_kept() -> None:
    spec = spec_of()
    forecaster = new_forecaster(spec, 0)
    start = weights_of(forecaster)
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
    fitted = fit(panel, spec, default_schedule(panel, horizon=8))
    pasts = [context(panel, each, spec, 14) for each in panel.series]
    forecasts = predict(fitted.forecaster, pasts)[..., spec.quantiles.index(0.5)]
    off = np.abs(forecasts - np.stack([np.tile(y[-4:], 2) for y in ys]))
    assert off.mean() < 0.003 * np.stack(ys).std()


@pytest.mark.parametrize("start", ["linear", "near"])
def test_a_fit_that_learns_nothing_better_is_its_start(start: Start) -> None:
    schedule = Schedule(
        batches=10, lanes=4, steps=16, origins=8, learning_rate=1e-12, start=start, threads=1
    )
    panel = panel_of(*(autoregressive(200, seed) for seed in range(3)))
    found = fit(panel, spec_of(), schedule)
    assert found.history[0].step == 0
    assert found.history[0].train_loss is None
    losses = [record.valid_loss for record in found.history]
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)


@pytest.mark.parametrize(("rate", "patience", "strays"), [(0.1, 4, True), (0.5, 1, False)])
def test_what_has_strayed_is_left_alone_and_the_start_learns_from_all(
    rate: float, patience: int, strays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `linear`; what stays near is always put right by the newest values."""
    monkeypatch.setattr("training.loop._CLEARLY", 0.0)  # these series have little to learn
    changes: dict[str, Any] = {"gated": 8, "layers": 2}
    spec = spec_of(**changes)
    schedule = schedule_of(batches=100, start="linear", learning_rate=rate, patience=patience)
    pasts = pasts_of(*(regimes(400, seed) for seed in range(3)))
    held = validation(spec, pasts, seed=0)
    (trained,) = train_members(spec, schedule, pasts, held, checkpoint=None, report=lambda _: None)
    trainer = Trainer(started(pasts, held.ends, **changes), schedule, pasts, held)
    trainer.look_first()
    while not trainer.finished:
        trainer.advance(0.0)
    trainer.take_best()
    assert (trainer.best_step > 0) == strays
    expected = trainer.forecaster if strays else started(pasts, **changes)
    theirs, ours = (predict(each, pasts) for each in (expected, trained.forecaster))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
