"""A backtest puts everyone on the same windows, shows no one the future, and counts honestly."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models import metrics
from models.context import Context
from models.forecaster import new_forecaster
from models.naive import seasonal_naive
from tests.training.panels import HOURS, MIDNIGHT, panel_of, seasonal, series_of, spec_of
from training.backtest import Backtest, Contender, backtest, contender
from training.baselines import Baseline, auto_ets, naive
from training.panel import Panel
from training.scores import METRICS

Floats = NDArray[np.float64]
SPEC = spec_of()
POINT = spec_of(quantiles=())
NAN = float("nan")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def constant(value: float) -> Contender:
    return Contender(SPEC, lambda batch: np.full((len(batch), 3, 5), value))


def last(batch: Sequence[Context]) -> Floats:
    """A point forecaster: the last value of each context."""
    return np.stack([np.full((3, 1), context.y[-1]) for context in batch])


def silent_above(limit: float) -> Contender:
    """The seasonal naive forecast, but nothing for series that begin above a limit."""

    def forecast(batch: Sequence[Context]) -> Floats:
        rows = [seasonal_naive(context.y, 4, 3, SPEC.quantiles) for context in batch]
        rows = [
            row * NAN if context.y[0] > limit else row
            for row, context in zip(rows, batch, strict=True)
        ]
        return np.stack(rows)

    return Contender(SPEC, forecast)


def seen_by(log: list[list[tuple[int, float]]]) -> Contender:
    def forecast(batch: Sequence[Context]) -> Floats:
        log.append([(context.y.size, float(context.y[-1])) for context in batch])
        return np.zeros((len(batch), 3, 5))

    return Contender(SPEC, forecast)


def test_everyone_forecasts_from_the_same_windows() -> None:
    panel = panel_of(seasonal(40), seasonal(23), seasonal(6))
    log: list[list[tuple[int, float]]] = []
    watcher = seen_by(log)
    spy = Baseline("spy", lambda batch, _: watcher.forecast(batch))
    result = backtest(panel, SPEC, {"one": watcher, "two": watcher}, [spy], n_windows=3)
    assert log[0] == log[1] == log[2]
    assert [size for size, _ in log[0]] == [31, 34, 37, 14, 17, 20]
    assert [left.unique_id for left in result.windows.left_out] == ["c"]
    assert len({(s.n_series, s.n_windows) for s in result.scores.values()}) == 1


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.floats(-1e6, 1e6))
@example(0, 1, 2.2250738585072014e-308)
def test_changing_the_future_leaves_forecasts_as_they_are(
    seed: int, n_windows: int, junk: float
) -> None:
    y = seasonal(40, seed)
    forecasters = {"gru": contender(new_forecaster(SPEC, seed=0)), "last": Contender(POINT, last)}
    before = backtest(panel_of(y), SPEC, forecasters, [naive()], n_windows=n_windows)
    for window, origin in enumerate(before.windows.origins[0]):
        changed = y.copy()
        changed[origin:] = junk
        after = backtest(panel_of(changed), SPEC, forecasters, [naive()], n_windows=n_windows)
        for name, forecasts in before.forecasts.items():
            np.testing.assert_array_equal(
                after.forecasts[name].values[0, window], forecasts.values[0, window]
            )
        assert after.windows.scale[0, window] == before.windows.scale[0, window]


def test_scores_are_those_of_the_metrics() -> None:
    ys = seasonal(40), 3.0 * seasonal(35, seed=1)
    result = backtest(panel_of(*ys), SPEC, {}, [naive()], n_windows=2)
    windows, scores = result.windows, result.scores["seasonal_naive"]
    values = result.forecasts["seasonal_naive"].values
    truth, point = windows.truth, values[..., 2]
    by_series = [float(metrics.mase(truth[s], point[s], windows.scale[s])) for s in range(2)]
    np.testing.assert_allclose(scores.by_series["mase"], by_series)
    assert scores.overall["mase"] == pytest.approx(np.mean(by_series))
    assert scores.overall["smape"] == pytest.approx(float(metrics.smape(truth, point)))
    assert scores.overall["rmse"] == pytest.approx(float(metrics.rmse(truth, point)))
    assert scores.overall["wql"] == pytest.approx(
        float(metrics.weighted_quantile_loss(truth, values, SPEC.quantiles))
    )
    assert scores.overall["coverage_80"] == pytest.approx(
        float(metrics.coverage(truth, values[..., 1], values[..., 3]))
    )
    assert scores.overall["msis"] == pytest.approx(
        float(metrics.msis(truth, values[..., 0], values[..., 4], windows.scale))
    )
    for name in METRICS:
        assert scores.by_horizon[name].shape == (3,)
        assert scores.by_series[name].shape == (2,)
    assert scores.overall["mae"] == pytest.approx(scores.by_horizon["mae"].mean())


def test_a_series_with_few_windows_counts_as_much_as_one_with_many() -> None:
    panel = panel_of(np.tile([1.0, 2.0, 3.0, 4.0], 10), np.tile([10.0, 20.0], 4))
    result = backtest(panel, SPEC, {"zero": constant(0.0)}, n_windows=3)
    assert result.scores["zero"].n_windows == 4
    by_series = result.scores["zero"].by_series["mae"]
    assert result.scores["zero"].overall["mae"] == pytest.approx(by_series.mean())
    np.testing.assert_allclose(result.scores["zero"].by_horizon["mae"].mean(), by_series.mean())


def test_a_point_forecaster_has_no_interval_metrics() -> None:
    result = backtest(panel_of(seasonal(40)), SPEC, {"last": Contender(POINT, last)})
    overall = result.scores["last"].overall
    assert {name for name, value in overall.items() if np.isnan(value)} == {
        "wql",
        "coverage_80",
        "coverage_95",
        "msis",
    }


def test_intervals_are_read_between_trained_quantiles_but_never_outside() -> None:
    narrow = spec_of(quantiles=(0.05, 0.5, 0.95))
    wide = Contender(narrow, lambda batch: np.full((len(batch), 3, 3), [0.0, 20.0, 40.0]))
    scores = backtest(panel_of(seasonal(40)), SPEC, {"wide": wide}).scores["wide"]
    assert scores.overall["coverage_80"] == 1.0
    assert np.isnan(scores.overall["coverage_95"])
    assert np.isnan(scores.overall["msis"])


def test_a_point_spec_still_measures_the_intervals_of_the_baselines() -> None:
    result = backtest(panel_of(seasonal(40)), POINT, {"last": Contender(POINT, last)}, [naive()])
    assert np.isfinite(list(result.scores["seasonal_naive"].overall.values())).all()


def test_silence_is_counted_and_compared_only_where_both_spoke() -> None:
    low, high = seasonal(40), 1000.0 * seasonal(40, seed=1)
    result = backtest(
        panel_of(low, high), SPEC, {"picky": silent_above(100.0), "zero": constant(0.0)}
    )
    picky = result.scores["picky"]
    assert (picky.n_series, picky.n_windows, picky.n_failed) == (1, 1, 1)
    assert np.isnan(picky.by_series["mase"][1])
    shared = result.among(("picky", "zero"))
    assert shared.scores["zero"].n_windows == 1
    assert shared.scores["zero"].overall["mae"] == result.scores["zero"].by_series["mae"][0]
    assert result.better("picky", "zero", "mae")
    assert not result.better("zero", "picky", "mae")


def test_one_that_never_spoke_is_better_than_none() -> None:
    result = backtest(panel_of(seasonal(40)), SPEC, {"a": silent_above(0.0), "b": constant(0.0)})
    assert not result.better("a", "b")
    assert not result.better("b", "a")


def test_coverage_is_no_contest() -> None:
    result = backtest(panel_of(seasonal(40)), SPEC, {"a": constant(0.0), "b": constant(1.0)})
    with pytest.raises(ValueError, match="coverage_80"):
        result.better("a", "b", "coverage_80")


def test_a_sampled_baseline_is_asked_for_the_same_series_with_the_same_seed() -> None:
    panel = panel_of(*(seasonal(30, seed) for seed in range(8)))
    few = Baseline("few", naive().forecast, max_series=3)

    def asked(seed: int) -> tuple[bool, ...]:
        result = backtest(panel, SPEC, {}, [few, naive()], n_windows=2, seed=seed)
        assert result.scores["few"].n_series == 3
        assert result.scores["few"].n_failed == 0
        assert result.scores["seasonal_naive"].n_series == 8
        together = result.among(("few", "seasonal_naive")).scores
        assert together["few"].overall == together["seasonal_naive"].overall
        return tuple(result.forecasts["few"].asked[:, 0].tolist())

    assert asked(0) == asked(0)
    assert len({asked(seed) for seed in range(6)}) > 1


def test_series_with_a_constant_past_have_no_mase_and_are_counted() -> None:
    flat = np.full(30, 5.0)
    flat[-1] = 9.0
    result = backtest(panel_of(seasonal(30), flat), SPEC, {"zero": constant(0.0)})
    scores = result.scores["zero"]
    assert scores.n_unscaled == 1
    assert scores.overall["mase"] == scores.by_series["mase"][0]
    assert np.isfinite(scores.by_series["mae"]).all()


def test_missing_truth_is_not_scored() -> None:
    y = seasonal(40)
    y[-2] = NAN
    scores = backtest(panel_of(y), SPEC, {"zero": constant(0.0)}).scores["zero"]
    assert scores.overall["mae"] == pytest.approx((y[-3] + y[-1]) / 2)
    assert np.isnan(scores.by_horizon["mae"][1])


def test_forecasters_with_other_covariates_meet_on_the_same_windows() -> None:
    panel = Panel(HOURS, (series_of("a", seasonal(60), MIDNIGHT),))
    plain, dated = spec_of(HOURS), spec_of(HOURS, calendar=("hour_of_day",), horizon=5)
    forecasters = {
        "plain": contender(new_forecaster(plain, seed=0)),
        "dated": contender(new_forecaster(dated, seed=0)),
    }
    result = backtest(panel, plain, forecasters, [auto_ets(plain)], n_windows=2)
    assert {scores.n_windows for scores in result.scores.values()} == {2}
    assert result.forecasts["dated"].values.shape == (1, 2, 3, 5)


def test_what_cannot_be_compared_is_refused() -> None:
    panel = panel_of(seasonal(40))
    with pytest.raises(ValueError, match="its own name"):
        backtest(panel, SPEC, {"seasonal_naive": constant(0.0)}, [naive()])
    with pytest.raises(ValueError, match="forecasts 3 steps, not 4"):
        backtest(panel, spec_of(horizon=4), {"short": constant(0.0)})
    wrong = Contender(SPEC, lambda batch: np.zeros((len(batch), 3, 2)))
    with pytest.raises(ValueError, match=r"gave \(1, 3, 2\) for \(1, 3, 5\)"):
        backtest(panel, SPEC, {"wrong": wrong})


def run() -> Backtest:
    panel = panel_of(seasonal(40), seasonal(30, seed=2))
    return backtest(panel, SPEC, {"last": Contender(POINT, last)}, [naive()], n_windows=2)


def test_the_summary_is_plain_finite_numbers() -> None:
    summary = run().summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert set(summary["seasonal_naive"]) >= set(METRICS)
    assert "wql" not in summary["last"]
    assert summary["last"]["n_windows"] == 4.0


def test_tables_have_a_row_a_forecaster_and_series_or_step() -> None:
    result = run()
    by_series, by_horizon = result.by_series(), result.by_horizon()
    assert by_series.columns == ["model", "unique_id", *METRICS]
    assert by_series["unique_id"].to_list() == ["a", "b", "a", "b"]
    assert by_horizon["step"].to_list() == [1, 2, 3, 1, 2, 3]
    assert by_horizon["wql"].null_count() == 3
    assert by_horizon["mase"].null_count() == 0
