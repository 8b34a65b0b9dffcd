"""Exponential smoothing as weights on a window: what the recursions forecast, step by step."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.head import seasonal_naive_weights
from tests.training.panels import spec_of
from training.ridge import moments_of
from training.smoothing import likely_smoothing, smoothing_maps, smoothings


def smoothed(y: list[float], chosen: tuple[float, ...], horizon: int, period: int) -> list[float]:
    """Holt's and Winters' recursions on plain numbers, as a textbook has them."""
    alpha, beta, phi, gamma, breadth = chosen
    begin = period if period > 1 else 2
    width = period if period > 1 else len(y) // 2
    rise = sum(y[-width:]) / width - sum(y[:width]) / width
    trend = rise / (len(y) - width) if beta and width > 1 else 0.0
    mean = sum(y[:begin]) / begin
    level = mean + trend * (begin - 1) / 2
    season = [y[i] - mean - trend * (i - (period - 1) / 2) for i in range(period)]
    for t in range(begin, len(y)):
        before = level + phi * trend
        pattern = season[t % period] if period > 1 else 0.0
        after = alpha * (y[t] - pattern) + (1 - alpha) * before
        if beta:
            trend = beta * (after - level) + (1 - beta) * phi * trend
        if period > 1:
            season[t % period] = gamma * (y[t] - before) + (1 - gamma) * pattern
        level = after
    said = []
    for k in range(1, horizon + 1):
        grown = sum(phi**i for i in range(1, k + 1)) * trend
        near = range(-int(breadth), int(breadth) + 1)
        weights = [1 + breadth - abs(j) for j in near]
        ahead = [season[(len(y) - 1 + k + j) % period] for j in near]
        pattern = sum(w * s for w, s in zip(weights, ahead, strict=True)) / sum(weights)
        said.append(level + grown + (pattern if period > 1 else 0.0))
    return said


@given(
    st.lists(st.floats(-5, 5), min_size=48, max_size=60),
    st.sampled_from([1, 2, 4, 24]),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_the_weights_forecast_as_the_recursions_do(
    y: list[float], period: int, horizon: int, random: Random
) -> None:
    choices = smoothings(period)
    chosen = choices[[random.randint(0, len(choices) - 1) for _ in range(5)]]
    maps = smoothing_maps(chosen, len(y), horizon, period)
    said = maps @ torch.tensor(y, dtype=torch.float64)
    for row, each in zip(said, chosen.tolist(), strict=True):
        np.testing.assert_allclose(row, smoothed(y, tuple(each), horizon, period), atol=1e-9)


@pytest.mark.parametrize("period", [1, 4, 24])
def test_a_window_that_is_moved_moves_its_forecasts(period: int) -> None:
    maps = smoothing_maps(smoothings(period), 30, 6, period)
    np.testing.assert_allclose(maps.sum(-1), 1.0, rtol=1e-9)


def windows(y: NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows of `spec_of`'s length and the three values after each, about the window's mean."""
    lags = spec_of().lags
    rows = np.lib.stride_tricks.sliding_window_view(y, lags + 3)
    z = torch.from_numpy(rows[:, :lags].copy())
    return z - z.mean(1, keepdim=True), torch.from_numpy(rows[:, lags:].copy()) - z.mean(
        1, keepdim=True
    )


def test_a_steady_rise_goes_on() -> None:
    z, target = windows(2.0 * np.arange(200) + np.tile([0.0, 5.0, 3.0, -4.0], 50))
    found = moments_of([(z, target, torch.ones(len(z), dtype=torch.float64))])
    assert found is not None
    likely = likely_smoothing(spec_of(), found, stretches=60)
    said = z @ likely.T
    naive = z @ seasonal_naive_weights(spec_of()).double().T
    assert (said - target).abs().mean() < 0.05 * (naive - target).abs().mean()


def test_where_there_is_next_to_nothing_to_see_seasonal_naive_has_a_quarter() -> None:
    z, target = windows(np.random.default_rng(0).normal(size=60))
    found = moments_of([(z, target, torch.ones(len(z), dtype=torch.float64))])
    assert found is not None
    spec = spec_of()
    periods = (1, *spec.season)
    assert len(periods) > 1
    maps = torch.cat([smoothing_maps(smoothings(k), spec.lags, spec.horizon, k) for k in periods])
    naive = seasonal_naive_weights(spec).double()
    likely = likely_smoothing(spec, found, stretches=1e-9)
    np.testing.assert_allclose(likely, 0.25 * naive + 0.75 * maps.mean(0), atol=1e-6)


def test_a_season_that_is_not_there_is_not_found() -> None:
    z, target = windows(np.random.default_rng(5).normal(size=400).cumsum())
    found = moments_of([(z, target, torch.ones(len(z), dtype=torch.float64))])
    assert found is not None
    likely = likely_smoothing(spec_of(), found, stretches=130)
    last = torch.zeros(3, spec_of().lags, dtype=torch.float64)
    last[:, -1] = 1.0  # nothing is better on a random walk
    assert found.errors(likely[None])[0] < 1.03 * found.errors(last[None])[0]


def test_steps_of_a_long_season_learn_from_their_neighbours() -> None:
    spec = spec_of(input_size=104, lags=104, horizon=13, season=(52,))
    random, t = np.random.default_rng(0), np.arange(600)
    season = np.sin(2 * math.pi * t / 52)
    rows = np.lib.stride_tricks.sliding_window_view(season + 0.5 * random.normal(size=600), 117)
    z, target = (torch.from_numpy(part.copy()) for part in (rows[:, :104], rows[:, 104:]))
    found = moments_of([(z, target, torch.ones(len(z), dtype=torch.float64))])
    assert found is not None
    likely = likely_smoothing(spec, found, stretches=40)
    each_alone = smoothings(52)
    each_alone = each_alone[each_alone[:, 4] == 0]
    best = found.errors(smoothing_maps(each_alone, 104, 13, 52)).min()
    assert found.errors(likely[None])[0] < 0.8 * best


def test_long_windows_are_looked_at_in_parts() -> None:
    spec = spec_of(input_size=336, lags=336, horizon=200, season=(24, 168))
    t = np.arange(2_000)
    y = np.sin(2 * math.pi * t / 24) + np.sin(2 * math.pi * t / 168)
    rows = np.lib.stride_tricks.sliding_window_view(y, 536)[::8]
    z, target = (torch.from_numpy(part.copy()) for part in (rows[:, :336], rows[:, 336:]))
    found = moments_of([(z, target, torch.ones(len(z), dtype=torch.float64))])
    assert found is not None
    likely = likely_smoothing(spec, found, stretches=7)
    assert likely.shape == (200, 336)
    np.testing.assert_allclose(likely.sum(1), 1.0, rtol=1e-5)
