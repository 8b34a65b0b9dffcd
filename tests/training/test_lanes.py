"""Chunks: what is learnt, what follows it, and nothing that must not be seen."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.context import Context
from tests.training.panels import spec_of
from tests.training.trainers import schedule_of, small_panel, trainer_of
from training.lanes import Chunk, Lanes

HORIZON = 3
SPEC = spec_of(hist_exog=("wind",), futr_exog=("price",), stat_exog=("area",))


def told(row: int, length: int) -> Context:
    """A series whose numbers tell its row and step: row 2, step 7 is 2007."""
    steps = np.arange(length)
    exog = np.stack([1000 * row + steps + 0.25, 1000 * row + steps + 0.5], axis=1)
    futr = 1000 * row + np.arange(length, length + HORIZON)[:, None] + 0.5
    return Context(
        y=np.full(length, 1000.0 * row) + steps,
        exog=exog.astype(np.float32),
        futr=futr.astype(np.float32),
        stat=np.array([row], dtype=np.float32),
    )


def lanes_of(lengths: list[int], ends: list[int] | None = None, **changes: Any) -> Lanes:
    series = [told(row, length) for row, length in enumerate(lengths, 1)]
    return Lanes(SPEC, series, np.array(lengths if ends is None else ends), schedule_of(**changes))


def same(one: Chunk, other: Chunk) -> bool:
    parts = [
        (each.young, each.stat, each.steps.y, each.steps.exog, each.at, each.target, each.futr)
        for each in (one, other)
    ]
    return all(torch.equal(a.nan_to_num(-1), b.nan_to_num(-1)) for a, b in zip(*parts, strict=True))


sizes = st.lists(st.integers(2, 60), min_size=1, max_size=4)


@settings(max_examples=40)
@given(sizes, st.integers(1, 20), st.integers(0, 99), st.data())
def test_targets_are_the_steps_that_follow_and_never_beyond_the_end(
    lengths: list[int], steps: int, seed: int, data: st.DataObject
) -> None:
    ends = [data.draw(st.integers(2, length)) for length in lengths]
    lanes = lanes_of(lengths, ends, steps=steps, origins=max(1, steps // 2), seed=seed)
    for _ in range(12):
        chunk = lanes.next()
        rows = chunk.stat[:, 0].long()
        end = torch.tensor([0, *ends])[rows][:, None]  # (lanes, 1)
        first = chunk.steps.y[:, 0] - 1000 * rows  # every chunk begins inside its series
        assert ((first >= 0) & (first < end[:, 0] - 1)).all()
        here = first[:, None] + torch.arange(steps)  # (lanes, T)
        expected = torch.where(here < end, here + 1000 * rows[:, None], torch.nan)
        torch.testing.assert_close(chunk.steps.y, expected, equal_nan=True)
        ahead = here[:, chunk.at, None] + 1 + torch.arange(HORIZON)  # (lanes, K, horizon)
        expected = torch.where(
            ahead < end[..., None], ahead + 1000 * rows[:, None, None], torch.nan
        )
        torch.testing.assert_close(chunk.target, expected, equal_nan=True)


def test_covariates_belong_to_the_step_they_stand_beside() -> None:
    lanes = lanes_of([50, 40], [44, 40])
    for _ in range(10):
        chunk = lanes.next()
        seen = ~chunk.steps.y.isnan()
        y = chunk.steps.y.float()
        torch.testing.assert_close(chunk.steps.exog[..., 0][seen], y[seen] + 0.25)
        torch.testing.assert_close(chunk.steps.exog[..., 1][seen], y[seen] + 0.5)
        learnt = ~chunk.target.isnan()
        torch.testing.assert_close(chunk.futr[..., 0][learnt], chunk.target[learnt].float() + 0.5)


def test_a_lane_goes_on_where_it_was_or_is_young() -> None:
    lanes = lanes_of([100, 70, 30])
    before = lanes.next()
    assert before.young.all()
    for _ in range(20):
        chunk = lanes.next()
        goes_on = ~chunk.young
        expected = before.steps.y[goes_on][:, -1] + 1
        torch.testing.assert_close(chunk.steps.y[goes_on][:, 0], expected)
        assert torch.equal(chunk.stat[goes_on], before.stat[goes_on])
        before = chunk


def test_walks_cover_every_step_of_every_series_as_an_origin() -> None:
    lanes = lanes_of([41, 7, 2, 90], steps=8, origins=3)
    seen: set[float] = set()
    for _ in range(600):
        chunk = lanes.next()
        learnt = ~chunk.target.isnan().all(-1)  # (lanes, K)
        seen.update(chunk.steps.y[:, chunk.at][learnt].tolist())
    origins = {
        1000 * row + step for row, n in enumerate([41, 7, 2, 90], 1) for step in range(n - 1)
    }
    assert seen == origins


def test_series_are_drawn_as_often_as_they_have_chunks() -> None:
    lanes = lanes_of([1, 33, 65, 0], ends=[1, 33, 65, 0])
    np.testing.assert_allclose(lanes.chances, [0, 2 / 6, 4 / 6, 0])
    rows = {int(row) for _ in range(50) for row in lanes.next().stat[:, 0]}
    assert rows == {2, 3}


def test_gaps_stay_gaps() -> None:
    past = told(1, 40)
    past.y[5:15] = np.nan
    lanes = Lanes(SPEC, [past], np.array([40]), schedule_of(steps=40, origins=40))
    chunk = lanes.next()
    gaps = (chunk.steps.exog[..., 0] >= 1005) & (chunk.steps.exog[..., 0] < 1015)
    assert gaps.any()
    assert chunk.steps.y[gaps].isnan().all()
    ahead = (chunk.futr[..., 0] >= 1005) & (chunk.futr[..., 0] < 1015)
    assert chunk.target[ahead].isnan().all()


def test_a_seed_is_a_walk() -> None:
    one, same_seed, other = (lanes_of([60, 50], seed=seed) for seed in (1, 1, 2))
    chunks = [(one.next(), same_seed.next(), other.next()) for _ in range(8)]
    assert all(same(a, b) for a, b, _ in chunks)
    assert not all(same(a, c) for a, _, c in chunks)


@given(st.integers(0, 30), st.integers(0, 99))
@settings(max_examples=20)
def test_a_walk_goes_on_from_its_snapshot(done: int, seed: int) -> None:
    lanes = lanes_of([60, 50, 9], seed=seed)
    for _ in range(done):
        lanes.next()
    snapshot = json.loads(json.dumps(lanes.snapshot()))
    other = lanes_of([60, 50, 9], seed=seed + 1)
    other.restore(snapshot)
    assert all(same(lanes.next(), other.next()) for _ in range(6))


def test_training_begins_young_lanes_with_an_empty_window_and_no_memory() -> None:
    trainer = trainer_of(small_panel(length=20), schedule=schedule_of(steps=5, origins=5))
    size, n_young = trainer.forecaster.spec.input_size, 0
    for _ in range(12):
        before, chunk = trainer.state, trainer.lanes.next()
        with torch.inference_mode():  # by the weights before they learn from it
            fresh = trainer.forecaster.initial_state(len(chunk.young))
            begun = trainer.forecaster.replay(fresh, chunk.steps).memory[chunk.young]
        assert trainer._step(chunk) is not None
        kept = trainer.state.ring[:, : size - 5]  # what was in the window before the chunk
        n_young += int(chunk.young.sum())
        assert kept[chunk.young].isnan().all()
        torch.testing.assert_close(trainer.state.memory[chunk.young], begun)
        torch.testing.assert_close(kept[~chunk.young], before.ring[~chunk.young][:, 5:])
    assert n_young > 8  # each lane began a series more than once
