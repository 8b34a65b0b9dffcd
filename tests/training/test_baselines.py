"""Baselines forecast any series they are given, or say that they cannot."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.context import Context
from models.naive import seasonal_naive
from tests.training.panels import seasonal, spec_of
from training.baselines import auto_ets, default_baselines, filled, naive

SPEC = spec_of()
NAN = float("nan")


def of(*ys: NDArray[np.float64]) -> list[Context]:
    none = np.empty((0,), np.float32)
    return [
        Context(y, np.empty((y.size, 0), np.float32), np.empty((3, 0), np.float32), none)
        for y in ys
    ]


def test_naive_is_the_seasonal_naive_of_the_first_season() -> None:
    y = seasonal(20)
    values = naive().forecast(of(y, y[:9]), spec_of(season=(4, 8)))
    np.testing.assert_array_equal(values[1], seasonal_naive(y[:9], 4, 3, SPEC.quantiles))
    assert naive().forecast([], SPEC).shape == (0, 3, 5)


def test_ets_finds_the_season() -> None:
    y = seasonal(60)
    baseline = auto_ets(SPEC)
    assert baseline.name == "auto_ets"
    values = baseline.forecast(of(y[:57]), SPEC)[0]
    assert np.abs(values[:, 2] - y[57:]).max() < 2.0
    assert (np.diff(values, axis=1) >= 0).all()


def test_long_seasons_are_taken_out_before_smoothing() -> None:
    spec = spec_of(season=(26,))
    baseline = auto_ets(spec)
    assert baseline.name == "stl_auto_ets"
    steps = np.arange(26 * 5)
    y = 50.0 + 10.0 * np.sin(2 * np.pi * steps / 26) + 0.2 * steps
    values = baseline.forecast(of(y[:-3]), spec)[0]
    assert np.abs(values[:, 2] - y[-3:]).max() < 1.0
    assert (np.diff(values, axis=1) >= 0).all()


def test_holes_are_filled_on_a_line_and_leading_ones_dropped() -> None:
    y = np.array([NAN, 1.0, NAN, NAN, 4.0, NAN])
    np.testing.assert_array_equal(filled(y), [1.0, 2.0, 3.0, 4.0, 4.0])
    assert filled(np.full(3, NAN)).size == 0


@pytest.mark.parametrize("season", [4, 26])
def test_every_kind_of_series_gets_a_whole_forecast_or_none(season: int) -> None:
    spec = spec_of(season=(season,))
    holes, shrinking = seasonal(80), seasonal(80)
    holes[::7] = NAN
    shrinking[40:] = 0.0
    kinds = {
        "holes": holes,
        "constant": np.full(60, 3.0),
        "zeros": np.zeros(60),
        "negative": -seasonal(60),
        "half zero": shrinking,
        "two seasons": seasonal(2 * season),
        "short": seasonal(7),
        "one": np.ones(1),
        "empty": np.empty(0),
        "unobserved": np.full(60, NAN),
    }
    values = auto_ets(spec).forecast(of(*kinds.values()), spec)
    for name, rows in zip(kinds, values, strict=True):
        if not np.isfinite(rows).all():
            assert name in {"short", "one", "empty", "unobserved"}
            assert np.isnan(rows).all()


def test_of_a_long_series_the_newest_values_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.baselines._LONGEST", 60)
    y = seasonal(60)
    longer = np.concatenate([np.full(40, 1e6), y])
    short, long = auto_ets(SPEC).forecast(of(y, longer), SPEC)
    np.testing.assert_array_equal(short, long)


def test_a_point_head_gets_points() -> None:
    spec = spec_of(quantiles=())
    for baseline in default_baselines(spec):
        assert baseline.forecast(of(seasonal(40)), spec).shape == (1, 3, 1)


@pytest.mark.slow
def test_processes_change_nothing_but_the_time() -> None:
    pasts = of(*(seasonal(40, seed) for seed in range(3)))
    alone, together = (auto_ets(SPEC, n_jobs=n).forecast(pasts, SPEC) for n in (1, 2))
    np.testing.assert_array_equal(together, alone)
