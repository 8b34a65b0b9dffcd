"""The three faces of a forecaster agree, and what it forecasts can be trusted to be numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.forecaster import Forecaster, new_forecaster
from models.naive import seasonal_naive
from models.spec import Spec
from models.state import State, Steps
from models.transform import to_forecast
from tests.models.histories import (
    GAPS,
    assert_same,
    context_of,
    futr_of,
    loud,
    scale_of,
    spec_of,
    specs,
    stat_of,
    steps_of,
    values,
)

lengths = st.one_of(st.integers(0, 20), st.sampled_from([127, 128, 129, 256, 257, 300]))
seeds = st.integers(0, 2**16)


def streamed(forecaster: Forecaster, state: State, steps: Steps) -> State:
    for step in range(len(steps)):
        state = forecaster.advance(state, steps.y[:, step], steps.exog[:, step])
    return state


@torch.inference_mode()
@settings(max_examples=60)
@given(specs(), lengths, st.sampled_from(GAPS), st.sampled_from(GAPS), seeds)
@example(spec_of(cell="lstm", layers=2), 300, "none", "runs", 0)
@example(spec_of(cell="gru", transform="log", futr_exog=("price",)), 129, "leading", "all", 1)
def test_one_by_one_replayed_and_unrolled_give_one_forecast(
    spec: Spec, length: int, gaps: str, others: str, seed: int
) -> None:
    forecaster = loud(spec, seed)
    contexts = [context_of(spec, length, seed, gaps), context_of(spec, length, seed + 7, others)]
    steps, stat, futr = steps_of(*contexts), stat_of(*contexts), futr_of(*contexts)
    young = forecaster.initial_state(2, stat)
    live, replayed = streamed(forecaster, young, steps), forecaster.replay(young, steps)
    torch.testing.assert_close(live.ring, replayed.ring, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(live.memory, replayed.memory, rtol=1e-5, atol=1e-5)
    expected = forecaster.forecast(live, futr)
    assert expected.dtype == torch.float64
    assert expected.shape == (2, spec.horizon, spec.outputs)
    size = scale_of(steps)
    assert_same(forecaster.forecast(replayed, futr), expected, size)
    if length:
        last = torch.tensor([length - 1])
        unrolled = forecaster.unroll(young, steps, futr[:, None], last)
        x = unrolled.loc[..., None, None] + unrolled.scale[..., None, None] * unrolled.z
        assert_same(to_forecast(x, spec).sort(-1).values[:, 0], expected, size)
        torch.testing.assert_close(unrolled.state.memory, live.memory, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(unrolled.state.ring, live.ring, equal_nan=True)


@torch.inference_mode()
@settings(max_examples=25)
@given(specs(), st.integers(1, 40), st.sampled_from(GAPS), seeds)
def test_every_origin_unrolled_is_the_forecast_of_the_stream_at_that_step(
    spec: Spec, length: int, gaps: str, seed: int
) -> None:
    forecaster, context = loud(spec, seed), context_of(spec, length, seed, gaps)
    steps, futr = steps_of(context), futr_of(context)
    state = forecaster.initial_state(1, stat_of(context))
    every = futr[:, None].expand(-1, length, -1, -1)
    z, loc, scale, _ = forecaster.unroll(state, steps, every)
    x = to_forecast(loc[..., None, None] + scale[..., None, None] * z, spec).sort(-1).values
    for step in range(length):
        state = forecaster.advance(state, steps.y[:, step], steps.exog[:, step])
        assert_same(x[:, step], forecaster.forecast(state, futr), scale_of(steps))


@torch.inference_mode()
@settings(max_examples=40)
@given(specs(), st.integers(1, 30), st.sampled_from(GAPS), st.sampled_from(GAPS), seeds)
def test_a_step_is_an_advance_and_then_a_forecast(
    spec: Spec, length: int, gaps: str, others: str, seed: int
) -> None:
    forecaster = loud(spec, seed)
    contexts = [context_of(spec, length, seed, gaps), context_of(spec, length, seed + 7, others)]
    steps, futr = steps_of(*contexts), futr_of(*contexts)
    state = forecaster.initial_state(2, stat_of(*contexts))
    for step in range(len(steps)):
        y, exog = steps.y[:, step], steps.exog[:, step]
        expected = forecaster.advance(state, y, exog)
        state, values = forecaster.step(state, y, exog, futr)
        torch.testing.assert_close(state.ring, expected.ring, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(state.memory, expected.memory, rtol=0, atol=0)
        torch.testing.assert_close(
            values, forecaster.forecast(expected, futr), rtol=1e-6, atol=1e-6, equal_nan=True
        )


@torch.inference_mode()
def test_what_is_not_given_is_unknown() -> None:
    spec = spec_of(hist_exog=("wind",), futr_exog=("price",))
    forecaster = loud(spec, 0)
    state, y = forecaster.initial_state(1), torch.tensor([5.0], dtype=torch.float64)
    unknown = torch.full((1, 2), torch.nan), torch.full((1, 3, 1), torch.nan)
    (bare, values), (told, same) = forecaster.step(state, y), forecaster.step(state, y, *unknown)
    torch.testing.assert_close(bare.memory, told.memory, rtol=0, atol=0)
    torch.testing.assert_close(values, same, rtol=0, atol=0)


@torch.inference_mode()
@settings(max_examples=25)
@given(specs(), st.lists(st.integers(0, 60), max_size=5), st.sampled_from(GAPS), seeds)
def test_a_history_may_be_replayed_in_any_pieces(
    spec: Spec, pieces: list[int], gaps: str, seed: int
) -> None:
    forecaster, context = loud(spec, seed), context_of(spec, sum(pieces), seed, gaps)
    steps = steps_of(context)
    young = forecaster.initial_state(1, stat_of(context))
    whole, state, start = forecaster.replay(young, steps), young, 0
    for piece in pieces:
        window = slice(start, start + piece)
        state = forecaster.replay(state, Steps(steps.y[:, window], steps.exog[:, window]))
        start += piece
    torch.testing.assert_close(state.ring, whole.ring, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(state.memory, whole.memory, rtol=1e-5, atol=1e-5)


HOSTILE = {
    "constant": np.full(60, 7.0),
    "zeros": np.zeros(60),
    "level": 1e12 + values(60, 0) / 10,
    "negative": -1e6 + values(60, 0),
    "spike": np.where(np.arange(60) == 50, 1e15, values(60, 0)),
    "tiny": 1e-9 * values(60, 0),
    "huge": 1e17 * values(60, 0),
    "alternating": 1e9 * (-1.0) ** np.arange(60),
    "one value": np.where(np.arange(60) == 58, 3.0, np.nan),
}


@torch.inference_mode()
@pytest.mark.parametrize("transform", ["none", "log"])
@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_quantiles_are_finite_and_ascend_whatever_the_values(
    cell: str, hostile: str, transform: str
) -> None:
    spec = spec_of(cell=cell, transform=transform, quantiles=(0.025, 0.1, 0.5, 0.9, 0.975))
    forecaster = loud(spec, 3)  # its quantiles would cross
    y = torch.from_numpy(HOSTILE[hostile])[None]
    steps = Steps(y, torch.empty(1, y.shape[1], 0))
    live = streamed(forecaster, forecaster.initial_state(1), steps)
    for state in (live, forecaster.replay(forecaster.initial_state(1), steps)):
        outputs = forecaster.forecast(state)
        assert outputs.isfinite().all()
        assert (outputs.diff(dim=-1) >= 0).all()


@torch.inference_mode()
@given(specs(), st.integers(0, 30), seeds)
@settings(max_examples=20)
def test_a_forecast_reads_and_changes_nothing(spec: Spec, length: int, seed: int) -> None:
    forecaster, context = loud(spec, seed), context_of(spec, length, seed)
    state = forecaster.replay(forecaster.initial_state(1, stat_of(context)), steps_of(context))
    kept = [part.clone() for part in (state.ring, state.memory, state.stat)]
    weights = {name: value.clone() for name, value in forecaster.state_dict().items()}
    futr = futr_of(context)
    first, second = forecaster.forecast(state, futr), forecaster.forecast(state, futr)
    torch.testing.assert_close(first, second, rtol=0, atol=0, equal_nan=True)
    for part, before in zip((state.ring, state.memory, state.stat), kept, strict=True):
        torch.testing.assert_close(part, before, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(dict(forecaster.state_dict()), weights, rtol=0, atol=0)


@torch.inference_mode()
def test_advancing_makes_a_new_state_and_leaves_the_old() -> None:
    forecaster = loud(spec_of(), 0)
    old = forecaster.replay(forecaster.initial_state(1), steps_of(context_of(spec_of(), 20, 0)))
    ring, memory = old.ring.clone(), old.memory.clone()
    new = forecaster.advance(old, torch.tensor([5.0], dtype=torch.float64))
    assert new.ring[0, -1] == 5.0
    torch.testing.assert_close(new.ring[:, :-1], old.ring[:, 1:])
    torch.testing.assert_close((old.ring, old.memory), (ring, memory), rtol=0, atol=0)


@torch.inference_mode()
def test_states_are_taken_and_put_together_by_row() -> None:
    spec = spec_of(cell="lstm", stat_exog=("area",))
    forecaster = loud(spec, 0)
    contexts = [context_of(spec, 20, seed) for seed in range(4)]
    state = forecaster.replay(forecaster.initial_state(4, stat_of(*contexts)), steps_of(*contexts))
    rows = torch.tensor([2, 0])
    picked = State.concatenate([state.take(rows), state.take(slice(1, 2))])
    assert (len(state), len(picked)) == (4, 3)
    everything = forecaster.forecast(state)
    torch.testing.assert_close(forecaster.forecast(picked), everything[[2, 0, 1]])


@torch.inference_mode()
@pytest.mark.parametrize("transform", ["none", "log"])
def test_an_untrained_forecaster_is_near_the_mean_of_the_seasonal_naives(transform: str) -> None:
    spec = spec_of(transform=transform, log_floor=0.01, horizon=7)
    y = 50.0 + values(40, 0)
    forecaster = new_forecaster(spec, 0)
    steps = Steps(torch.from_numpy(y)[None], torch.empty(1, 40, 0))
    state = forecaster.replay(forecaster.initial_state(1), steps)
    naives = [seasonal_naive(y, season, 7)[:, 0] for season in spec.season]
    if transform == "log":  # the mean of logarithms is the geometric one
        expected = np.exp(np.mean(np.log(naives), axis=0))
    else:
        expected = np.mean(naives, axis=0)
    median = forecaster.forecast(state)[0, :, 1].numpy()
    # what the state adds is at most 0.1 / sqrt(hidden) a unit, in scales of the window
    reach = 0.1 * np.sqrt(spec.hidden_size) * y[-8:].std() * 1.5
    assert np.abs(median - expected).max() < reach
    forecaster.head.state.weight.zero_()
    median = forecaster.forecast(state)[0, :, 1].numpy()
    np.testing.assert_allclose(median, expected, rtol=1e-5)


def test_a_season_longer_than_the_lags_is_left_to_the_last_value() -> None:
    spec = spec_of(lags=2)
    forecaster = new_forecaster(spec, 0)
    y = torch.from_numpy(values(20, 0))[None]
    with torch.inference_mode():
        forecaster.head.state.weight.zero_()
        state = forecaster.replay(forecaster.initial_state(1), Steps(y, torch.empty(1, 20, 0)))
        median = forecaster.forecast(state)[0, :, 1]
    torch.testing.assert_close(median, y[0, -1].expand(3), rtol=1e-5, atol=1e-5)


@torch.inference_mode()
@settings(max_examples=30)
@given(
    specs().filter(lambda spec: spec.input_size > 1),
    st.integers(2, 40),
    st.sampled_from(GAPS),
    st.tuples(st.floats(1e-3, 1e3), st.floats(-100.0, 100.0)),
    seeds,
)
def test_a_forecast_moves_and_stretches_with_its_series_and_their_resolution(
    spec: Spec, length: int, gaps: str, change: tuple[float, float], seed: int
) -> None:
    factor, shift = change
    spec = spec.model_copy(update={"transform": "none", "nonnegative": False})
    stretched = spec.model_copy(update={"resolution": factor * spec.resolution})
    context = context_of(spec, length, seed, gaps)
    moved = replace(context, y=factor * (context.y + shift))
    outputs = []
    for forecaster, each in ((loud(spec, seed), context), (loud(stretched, seed), moved)):
        young = forecaster.initial_state(1, stat_of(each))
        state = forecaster.replay(young, steps_of(each))
        window = forecaster.encoder.scaled(state.ring)
        if (window.scale < 2e-3 * window.loc.abs()).any():
            return  # the floor is not the series' own
        outputs.append(forecaster.forecast(state, futr_of(each)))
    expected = factor * (outputs[0] + shift)
    size = factor * (float(np.nan_to_num(np.abs(context.y)).max()) + abs(shift))
    torch.testing.assert_close(outputs[1], expected, rtol=1e-3, atol=1e-3 * size, equal_nan=True)


def test_a_new_forecaster_is_its_seed_s_and_leaves_torch_s_own_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (new_forecaster(spec_of(), seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(dict(one.state_dict()), dict(same.state_dict()), rtol=0, atol=0)
    assert not torch.equal(one.head.state.weight, other.head.state.weight)
    assert not one.training
