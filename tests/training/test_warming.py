"""The warming that is measured brings young windows' intervals to what they promise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.context import Context
from models.forecaster import Forecaster, new_forecaster
from models.metrics import coverage
from models.predict import predict
from models.spec import Spec
from models.warming import Warming
from tests.training.panels import spec_of
from tests.training.trainers import past_of, schedule_of, small_panel
from training.fit import fit
from training.held_out import held_out
from training.warming import measure_warming

Values = NDArray[np.float64]


def spec(**changes: Any) -> Spec:
    return spec_of(**({"input_size": 16, "lags": 16} | changes))


def levels(n: int, *, base: float = 1.0, length: int = 80, seed: int = 0) -> list[Values]:
    """Seasonal series at levels from 1 to 1,000 times `base`, noisy by a tenth of them."""
    random = np.random.default_rng(seed)
    season = 0.5 * np.sin(np.arange(length) * np.pi / 2)
    return [
        base * 10 ** random.uniform(0, 3) * (1 + season + 0.1 * random.normal(size=length))
        for _ in range(n)
    ]


def inside(forecaster: Forecaster, ys: list[Values], age: int) -> float:
    """The share of three steps, forecast from `age` values at all times of a season, that lie
    between the quantiles of 10 and 90 %."""
    pasts, truth = [], []
    for row, y in enumerate(ys):
        origin = 60 + row % 4
        pasts.append(past_of(y[origin - age : origin]))
        truth.append(y[origin : origin + 3])
    values, column = predict(forecaster, pasts), forecaster.spec.quantiles.index
    low, high = (values[..., column(q)] for q in (0.1, 0.9))
    return float(coverage(np.stack(truth), low, high))


def warming_of(
    forecaster: Forecaster, pasts: list[Context], ends: NDArray[np.int64], seed: int = 0
) -> Warming | None:
    return measure_warming(forecaster, held_out(forecaster.spec, pasts, ends, most=512, seed=seed))


def measured(forecaster: Forecaster, ys: list[Values], end: int = 70) -> Warming | None:
    return warming_of(forecaster, [past_of(y) for y in ys], np.full(len(ys), end))


@pytest.mark.parametrize(("transform", "base"), [("none", 1.0), ("none", -1e6), ("log", 1.0)])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_young_windows_of_other_series_cover_what_they_say(
    cell: str, transform: str, base: float
) -> None:
    shape = spec(cell=cell, transform=transform, log_floor=1e-3, quantiles=(0.1, 0.5, 0.9))
    forecaster, others = new_forecaster(shape, 0), levels(300, base=base, seed=1)
    before = [inside(forecaster, others, age) for age in (1, 2, 4)]
    forecaster.warm(measured(forecaster, levels(80, base=base)))
    assert before[0] < 0.1
    for age in (1, 2, 3, 4):
        assert 0.72 < inside(forecaster, others, age) < 0.95


def test_windows_that_are_wide_by_chance_do_not_pay_for_narrow_ones() -> None:
    forecaster = new_forecaster(spec(quantiles=(0.1, 0.5, 0.9)), 0)
    others = [past_of(y[:62]) for y in levels(300, seed=1)]
    forecaster.warm(measured(forecaster, levels(80)))
    cut = [past_of(past.y[-2:]) for past in others]
    wide = predict(forecaster, cut)
    plain = predict(forecaster.warm(None), cut)
    outer = [0, 2]
    far = np.abs(plain - plain[..., [1]])[..., outer] / np.abs(wide - plain[..., [1]])[..., outer]
    assert ((far == 1.0).any(axis=0) & (far < 1.0).any(axis=0)).any()  # at one step, some of each


def test_series_around_zero_have_a_reference_too() -> None:
    forecaster = new_forecaster(spec(quantiles=(0.1, 0.5, 0.9)), 0)

    def around_zero(seed: int) -> list[Values]:
        return [y - y.mean() for y in levels(150, seed=seed)]

    warming = measured(forecaster, around_zero(0))
    assert warming is not None
    forecaster.warm(warming)
    for age in (1, 2, 4):
        assert 0.72 < inside(forecaster, around_zero(1), age) < 0.95


def test_it_falls_with_age_and_rises_outwards_and_ends_where_windows_are_full() -> None:
    shape = spec()
    warming = measured(new_forecaster(shape, 0), levels(40))
    assert warming is not None
    assert warming.misfit(shape) is None
    assert (warming.ages, warming.steps) == ((1, 2, 4, 8)[: len(warming.ages)], (1, 2, 3))
    assert warming.full in (2, 4, 8, 16)
    sizes = np.abs(warming.offsets)
    assert (np.diff(sizes, axis=0) <= 0).all()
    assert sizes[-1].any()


def test_only_what_was_not_learnt_from_counts() -> None:
    forecaster = new_forecaster(spec(), 0)
    ys = levels(20)
    learnt = [np.where(np.arange(80) < 30, 1e3 * y, y) for y in ys]  # 2 windows before, and a step
    later = [np.where(np.arange(80) >= 75, 10 * y, y) for y in ys]
    expected = measured(forecaster, ys)
    assert measured(forecaster, learnt) == expected
    assert measured(forecaster, later) != expected


def test_a_seed_is_a_sample() -> None:
    forecaster, ys = new_forecaster(spec(), 0), levels(60)
    pasts, ends = [past_of(y) for y in ys], np.full(60, 70)
    one, same, other = (warming_of(forecaster, pasts, ends, seed=s) for s in (1, 1, 2))
    assert one == same != other


def test_a_panel_whose_windows_have_gaps_is_full_with_them() -> None:
    random, holed = np.random.default_rng(0), []
    for y in levels(60):
        y[random.random(80) < 0.4] = np.nan
        holed.append(y)
    warming = measured(new_forecaster(spec(), 0), holed)
    assert warming is not None
    assert warming.full <= 9  # of 16, six in ten of which are observed


def test_covariates_go_with_their_steps() -> None:
    shape = spec(hist_exog=("wind",), futr_exog=("price",), stat_exog=("area",))
    random = np.random.default_rng(0)
    pasts = [
        Context(
            y,
            random.normal(size=(80, 2)).astype(np.float32),
            random.normal(size=(3, 1)).astype(np.float32),
            np.ones(1, np.float32),
        )
        for y in levels(10)
    ]
    assert warming_of(new_forecaster(shape, 0), pasts, np.full(10, 70)) is not None


@pytest.mark.parametrize(
    ("changes", "ys", "end"),
    [
        ({"quantiles": ()}, levels(5), 70),
        ({"quantiles": (0.5,)}, levels(5), 70),
        ({"input_size": 1, "lags": 1}, levels(5), 70),
        ({}, levels(5), 80),
        ({}, levels(5, length=10), 8),
        ({}, [np.full(80, 7.0)], 70),
        ({}, [np.full(80, np.nan)], 70),
        ({}, [np.empty(0), np.ones(1)], 0),
        ({}, [], 0),
    ],
    ids=["point", "median", "last", "unheld", "short", "constant", "unseen", "tiny", "none"],
)
def test_where_nothing_can_be_measured_or_widened_there_is_none(
    changes: dict[str, Any], ys: list[Values], end: int
) -> None:
    forecaster = new_forecaster(spec(**changes), 0)
    ends = np.array([min(end, y.size) for y in ys], dtype=np.int64)
    assert warming_of(forecaster, [past_of(y) for y in ys], ends) is None


def test_measuring_leaves_the_forecaster_as_it_was() -> None:
    forecaster, ys = new_forecaster(spec(), 0), levels(20)
    warming = measured(forecaster, ys)
    assert forecaster.warming is None
    assert warming is not None
    forecaster.warm(warming)
    assert measured(forecaster, ys) == warming
    assert forecaster.warming == warming


def test_a_fit_is_warmed_and_full_windows_forecast_what_they_did() -> None:
    fitted = fit(small_panel(12), spec_of(), schedule_of())
    forecaster = fitted.forecaster
    assert forecaster.warming is not None
    full, young = past_of(small_panel().series[0].y), past_of(small_panel().series[0].y[:1])
    wide = predict(forecaster, [full, young])
    plain = predict(forecaster.warm(None), [full, young])
    np.testing.assert_array_equal(wide[0], plain[0])
    assert (wide[1, :, -1] > plain[1, :, -1]).all()
    again = fit(small_panel(12), spec_of(), schedule_of())
    np.testing.assert_array_equal(predict(again.forecaster, [full, young]), wide)
