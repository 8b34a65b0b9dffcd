"""Training ends when it should, keeps the best, and gives up where nothing can be learnt."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.transform import to_network
from tests.training.panels import panel_of, seasonal, spec_of
from tests.training.trainers import schedule_of, trainer_of
from training.lanes import Chunk
from training.loop import EpochRecord, FitError, Trainer
from training.schedule import Start


def ended(trainer: Trainer) -> Trainer:
    while not trainer.finished:
        trainer.advance(0.0)
    return trainer


def test_training_looks_as_often_as_the_schedule_says_and_ends_with_it() -> None:
    trainer = trainer_of()
    told = []
    while not trainer.finished:
        told.append(trainer.advance(1.25))
    assert [progress.batch for progress in told] == list(range(1, 13))
    assert [record.step for record in trainer.history] == [3, 6, 9, 12]
    assert [p.record for p in told if p.record is not None] == trainer.history
    assert all(record.seconds == 1.25 for record in trainer.history)
    assert trainer.history[0].lr == trainer.schedule.rate(2)


def test_a_record_s_training_loss_is_the_mean_since_the_record_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer, losses = trainer_of(), list[float]()
    step = trainer._step

    def noted(chunk: Chunk) -> float | None:
        loss = step(chunk)
        assert loss is not None
        losses.append(loss)
        return loss

    monkeypatch.setattr(trainer, "_step", noted)
    ended(trainer)
    means = np.reshape(losses, (4, 3)).mean(axis=1)
    told = np.array([record.train_loss for record in trainer.history], dtype=np.float64)
    np.testing.assert_allclose(told, means)


def test_it_ends_early_when_validation_does_not_improve() -> None:
    schedule = schedule_of(batches=40, evaluations=40, patience=3, learning_rate=1e-12)
    trainer = trainer_of(schedule=schedule)
    trainer.history.append(EpochRecord(0, 0.0, -1.0, 0.0, 0.0))  # never to be beaten
    assert ended(trainer).batch == 3


def test_the_weights_of_the_best_look_are_taken() -> None:
    trainer = trainer_of()
    while not trainer.history:
        trainer.advance(0.0)
    best = {name: value.clone() for name, value in trainer.forecaster.state_dict().items()}
    with torch.no_grad():
        trainer.forecaster.head.state.weight.mul_(1000.0)
    ended(trainer).take_best()
    assert len(trainer.history) == 4
    torch.testing.assert_close(dict(trainer.forecaster.state_dict()), best, rtol=0, atol=0)
    assert trainer.validation.loss(trainer.forecaster) == trainer.history[0].valid_loss
    assert not trainer.forecaster.training


@pytest.mark.parametrize("start", ["linear", "near"])
def test_a_start_at_the_map_stands_unless_a_look_is_clearly_better(start: Start) -> None:
    trainer = trainer_of(schedule=schedule_of(start=start))
    assert (trainer.margin > 0) == (start == "linear")
    trainer.history.append(EpochRecord(0, None, 1.0, 0.0, 0.0))
    for step, over in ((3, 0.01), (6, -0.01)):
        trainer.history.append(EpochRecord(step, 1.0, 1.0 - trainer.margin + over, 0.0, 0.0))
        assert trainer.best_step == (step if over < 0 else 0)


def test_less_is_clear_where_more_is_held_back() -> None:
    schedule = schedule_of(start="linear")
    panels = (panel_of(seasonal(length)) for length in (60, 600))
    short, long = (trainer_of(panel, schedule=schedule).margin for panel in panels)
    assert 0 < long < short < 1


def test_without_a_window_to_validate_on_all_batches_are_done_and_the_newest_taken() -> None:
    trainer = trainer_of(panel_of(np.full(40, 7.0)), schedule=schedule_of(patience=1))
    assert not trainer.validation.contexts
    untrained = trainer.forecaster.head.state.weight.clone()
    ended(trainer)
    newest = trainer.forecaster.head.state.weight.clone()
    trainer.take_best()
    assert trainer.batch == trainer.best_step == 12
    assert not torch.equal(newest, untrained)
    assert torch.equal(trainer.forecaster.head.state.weight, newest)


@pytest.mark.parametrize("quantiles", [(), (0.1, 0.5, 0.9)])
@pytest.mark.parametrize("rubbish", [torch.nan, torch.inf])
def test_a_loss_that_stays_infinite_is_told(quantiles: tuple[float, ...], rubbish: float) -> None:
    trainer = trainer_of(spec=spec_of(quantiles=quantiles))
    with torch.no_grad():
        trainer.forecaster.head.state.bias.fill_(rubbish)
    with pytest.raises(FitError, match="lower the learning rate"):
        trainer.advance(0.0)
    assert not trainer.whole


@pytest.mark.parametrize("quantiles", [(), (0.1, 0.5, 0.9)])
@pytest.mark.parametrize("transform", ["none", "log"])
def test_the_loss_is_that_of_the_targets_in_the_scale_of_each_window(
    quantiles: tuple[float, ...], transform: str
) -> None:
    spec = spec_of(quantiles=quantiles, transform=transform, log_floor=0.1)
    y = seasonal(80)
    y[20:25] = np.nan
    trainer = trainer_of(panel_of(y), spec, schedule_of(origins=16))
    chunk = trainer.lanes.next()
    young = trainer.forecaster.initial_state(4)
    unrolled = trainer.forecaster.unroll(young, chunk.steps, at=chunk.at)
    target = (to_network(chunk.target, spec) - unrolled.loc[..., None]) / unrolled.scale[..., None]
    terms = []
    for index in np.ndindex(*target.shape):
        truth = float(target[index].clamp(-50, 50))
        if np.isnan(truth):
            continue
        outputs = unrolled.z[index].tolist()
        if quantiles:
            each = [
                max(q * (truth - f), (q - 1) * (truth - f))
                for q, f in zip(quantiles, outputs, strict=True)
            ]
            terms.append(np.mean(each))
        else:
            terms.append((truth - outputs[0]) ** 2)
    assert trainer._step(chunk) == pytest.approx(np.mean(terms), rel=1e-4)


def test_one_wild_value_does_not_drown_the_rest() -> None:
    y = seasonal(80)
    y[60] = 1e12
    trainer = trainer_of(panel_of(y))
    losses = [trainer.advance(0.0).loss for _ in range(6)]
    assert max(losses) < 50
