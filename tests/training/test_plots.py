from __future__ import annotations

import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.training.fits import COUNTED, backtest_of, fit_of, panel, spec
from training.backtest import Backtest
from training.fit import Fit
from training.loop import EpochRecord
from training.panel import Panel
from training.plots import comparison, error_by_horizon, fan_chart, loss_curve


@pytest.fixture(scope="module")
def given() -> Panel:
    return panel()


@pytest.fixture(scope="module")
def fits(given: Panel) -> dict[str, Fit]:
    return {"lstm": fit_of(spec(), given), "gru": fit_of(spec(cell="gru"), given)}


@pytest.fixture(scope="module")
def result(given: Panel, fits: dict[str, Fit]) -> Backtest:
    return backtest_of(given, **fits)


def drawn(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def test_every_chart_draws(given: Panel, fits: dict[str, Fit], result: Backtest) -> None:
    for figure in (
        loss_curve(fits["lstm"].history),
        fan_chart(given, result, "lstm"),
        error_by_horizon(result, ["lstm", "gru"]),
        comparison(result, ["lstm", "gru"]),
    ):
        assert drawn(figure).startswith(b"\x89PNG")


def test_charts_leave_no_global_state(fits: dict[str, Fit]) -> None:
    loss_curve(fits["lstm"].history)
    assert "matplotlib.pyplot" not in sys.modules


def test_the_loss_curve_marks_the_best_validation() -> None:
    history = [
        EpochRecord(step=k, train_loss=1.0, valid_loss=loss, lr=1e-3, seconds=0.0)
        for k, loss in enumerate((3.0, float("nan"), 1.25, 2.0))
    ]
    for best_step, marked in ((None, "best: 1.25 at step 2"), (0, "best: 3 at step 0")):
        losses = loss_curve(history, best_step).axes[0]
        assert [text.get_text() for text in losses.texts] == [marked]


def test_a_fit_without_records_has_a_loss_curve_too() -> None:
    assert drawn(loss_curve([]))


def test_the_fan_chart_shows_series_from_best_to_worst(given: Panel, result: Backtest) -> None:
    figure = fan_chart(given, result, "lstm", n_series=2)
    errors = dict(
        zip(result.windows.unique_ids, result.scores["lstm"].by_series["mase"], strict=True)
    )
    ranked = sorted(errors, key=lambda name: errors[name])
    titles = [
        axis.get_title(loc="left").partition(",")[0] for axis in figure.axes if axis.get_visible()
    ]
    assert titles == [ranked[0], ranked[-1]]


def test_a_point_forecaster_has_a_fan_without_bands() -> None:
    given = panel(COUNTED)
    result = backtest_of(given, point=fit_of(spec(COUNTED, quantiles=()), given))
    figure = fan_chart(given, result, "point")
    assert not any(axis.collections for axis in figure.axes)
    assert drawn(figure)
    assert drawn(comparison(result, ["point"]))


def test_a_baseline_that_answered_less_says_so(result: Backtest) -> None:
    naive = replace(result.scores["seasonal_naive"], n_windows=2)
    partial = replace(result, scores={**result.scores, "seasonal_naive": naive})
    figure = comparison(partial, ["lstm", "gru"])
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert "seasonal naive (2 of 6 windows)" in labels


def test_every_step_ahead_is_on_the_error_chart(result: Backtest) -> None:
    lines = error_by_horizon(result, ["lstm", "gru"], metric="smape").axes[0].lines
    assert [len(np.asarray(line.get_xdata())) for line in lines] == [6, 6, 6]
