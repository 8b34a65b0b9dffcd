"""The charts of a fit: how it learned, what it forecasts, and where it stands among baselines.

Every function returns a `matplotlib.figure.Figure` that no global state knows of, so that threads
may draw side by side and nothing stays open.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from training.backtest import Backtest
from training.loop import EpochRecord
from training.panel import Panel

INK, SOFT, GRID = "#1f2933", "#7b8794", "#e4e7eb"
_FORECASTERS = ("#0b6e99", "#c2571a", "#2f7d4f", "#7a4fa3")
_BASELINES = ("#9aa5b1", "#cbb89d", "#b8c4bb")
_DASHES = ("--", ":", "-.")
_NAMES = {
    "lstm": "LSTM",
    "gru": "GRU",
    "elman": "Elman",
    "ensemble": "Ensemble",
    "seasonal_naive": "seasonal naive",
    "auto_ets": "AutoETS",
    "stl_auto_ets": "STL and AutoETS",
}
TITLES = {
    "mase": "MASE",
    "smape": "sMAPE, %",
    "mae": "MAE",
    "rmse": "RMSE",
    "wql": "Weighted quantile loss",
    "coverage_80": "Coverage of the 80 % interval",
    "coverage_95": "Coverage of the 95 % interval",
    "msis": "MSIS",
}


def loss_curve(history: Sequence[EpochRecord], best_step: int | None = None) -> Figure:
    """Training and validation loss by step, the best step marked, the learning rate beneath.

    best_step: the look whose weights were taken; None for that of the least validation loss.
    """
    figure, (losses, rates) = new_figure(2, 1, (7.2, 4.6), heights=(3, 1), share_x=True)
    steps = [record.step for record in history]
    train = np.array([record.train_loss for record in history], dtype=np.float64)  # None is NaN
    valid = np.array([record.valid_loss for record in history])
    losses.plot(steps, train, color=SOFT, label="training")
    if np.isfinite(valid).any():
        losses.plot(steps, valid, color=_FORECASTERS[0], label="validation")
        if best_step in steps:
            best = steps.index(best_step)
        else:
            best = int(np.nanargmin(np.where(np.isfinite(valid), valid, np.nan)))
        losses.plot(steps[best], valid[best], "o", color=_FORECASTERS[0])
        losses.annotate(
            f"best: {valid[best]:.4g} at step {steps[best]}",
            (steps[best], valid[best]),
            xytext=(0, 10),
            textcoords="offset points",
            ha="right" if best > len(steps) / 2 else "left",
            color=_FORECASTERS[0],
            bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1},
        )
    entitle(losses, "Loss")
    losses.legend(frameon=False, fontsize=8, labelcolor=INK)
    rates.plot(steps, [record.lr for record in history], color=SOFT)
    rates.set_ylim(bottom=0)
    entitle(rates, "Learning rate")
    rates.set_xlabel("step", fontsize=8, color=SOFT)
    return figure


def fan_chart(panel: Panel, backtest: Backtest, name: str, *, n_series: int = 6) -> Figure:
    """The newest window of several series: their past, the truth, the median and two intervals.

    The series run from the one forecast best to the one forecast worst, evenly between by MASE.
    """
    windows, forecasts = backtest.windows, backtest.forecasts[name]
    rows = _spread(
        np.asarray(backtest.scores[name].by_series["mase"]), forecasts.answered, n_series
    )
    columns = min(2, len(rows))
    height = 2.3 * -(-len(rows) // columns)
    figure, axes = new_figure(-(-len(rows) // columns), columns, (5.2 * columns, height + 0.5))
    bands = ((0.025, 0.975, 0.16, "95 %"), (0.1, 0.9, 0.32, "80 %"))
    for axis, row in zip(axes, rows, strict=False):
        window = int(np.flatnonzero(forecasts.answered[row])[-1])
        series, origin = panel.series[windows.series[row]], int(windows.origins[row, window])
        past = min(origin, max(3 * windows.horizon, 2 * windows.season))
        before, after = np.arange(-past, 0), np.arange(windows.horizon)
        axis.plot(before, series.y[origin - past : origin], color=INK, lw=1)
        for low, high, alpha, label in bands:
            edges = [forecasts.quantile(level)[row, window] for level in (low, high)]
            if np.isfinite(edges).all():
                axis.fill_between(
                    after, *edges, color=_FORECASTERS[0], alpha=alpha, lw=0, label=label
                )
        axis.plot(after, windows.truth[row, window], color=INK, lw=1, label="observed")
        axis.plot(after, forecasts.point[row, window], color=_FORECASTERS[0], label="forecast")
        axis.axvline(-0.5, color=SOFT, lw=0.8, ls=":")
        start = panel.timeline.format(panel.timeline.at(series.start, np.array([origin])))[0]
        entitle(axis, f"{series.unique_id[:40]}, from {_short_stamp(start)}")
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    for axis in axes[len(rows) :]:
        axis.set_visible(False)
    for axis in axes[len(rows) - columns : len(rows)]:
        axis.set_xlabel("steps from the first forecast", fontsize=8, color=SOFT)
    legend_below(figure, axes[0])
    return figure


def error_by_horizon(
    backtest: Backtest, forecasters: Sequence[str], *, metric: str = "mase"
) -> Figure:
    """A metric at each step ahead: `forecasters` as full lines, all others as broken ones."""
    figure, (axis,) = new_figure(1, 1, (7.2, 3.8))
    steps = np.arange(1, backtest.windows.horizon + 1)
    marker = "o" if len(steps) == 1 else ""
    for name, (colour, dash) in styles_of(backtest, forecasters).items():
        values = backtest.scores[name].by_horizon[metric]
        if np.isfinite(values).any():
            axis.plot(
                steps, values, label=label_of(backtest, name), color=colour, ls=dash, marker=marker
            )
    axis.set_ylim(bottom=0)
    axis.set_xlim(0.5, len(steps) + 0.5)
    entitle(axis, f"{TITLES[metric]} by step ahead")
    axis.set_xlabel("steps ahead", fontsize=8, color=SOFT)
    axis.xaxis.set_major_locator(MaxNLocator(12, integer=True))
    legend_below(figure, axis)
    return figure


def comparison(
    backtest: Backtest,
    forecasters: Sequence[str],
    *,
    metrics: Sequence[str] = ("mase", "smape", "wql", "msis"),
) -> Figure:
    """A bar for each of `forecasters` and baselines, by metric; less is better in all of them."""
    figure, axes = new_figure(
        1, len(metrics), (2.9 * len(metrics), 0.42 * len(backtest.scores) + 1.3)
    )
    styles = styles_of(backtest, forecasters)
    names = list(styles)[::-1]
    colours = [styles[name][0] for name in names]
    for axis, metric in zip(axes, metrics, strict=True):
        values = [backtest.scores[name].overall[metric] for name in names]
        axis.barh(range(len(names)), values, color=colours, height=0.62)
        for place, value in enumerate(values):
            text = f" {value:.3g}" if np.isfinite(value) else " no value"
            axis.text(np.nan_to_num(value), place, text, va="center", fontsize=8, color=INK)
        entitle(axis, TITLES[metric])
        axis.set_yticks(range(len(names)), [label_of(backtest, name) for name in names])
        if axis is not axes[0]:
            axis.tick_params(labelleft=False)
        axis.grid(visible=False)
        axis.spines["bottom"].set_visible(False)
        axis.tick_params(bottom=False, labelbottom=False, left=False)
        axis.margins(x=0.25)
        axis.set_xlim(left=0)
    return figure


def new_figure(
    rows: int,
    columns: int,
    size: tuple[float, float],
    *,
    heights: Sequence[float] | None = None,
    share_x: bool = False,
) -> tuple[Figure, list[Axes]]:
    """A figure of rows x columns axes, size in inches."""
    figure = Figure(figsize=size, dpi=130, layout="constrained", facecolor="white")
    grid = figure.subplots(rows, columns, sharex=share_x, height_ratios=heights, squeeze=False)
    axes = [axis for row in grid for axis in row]
    for axis in axes:
        _dress(axis)
    return figure, axes


def _dress(axis: Axes) -> None:
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.spines["bottom"].set_color(SOFT)
    axis.tick_params(colors=SOFT, labelsize=8, left=False)
    axis.grid(axis="y", color=GRID, lw=0.8)
    axis.set_axisbelow(True)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def entitle(axis: Axes, text: str) -> None:
    """The title of one of its axes."""
    axis.set_title(text, loc="left", fontsize=9.5, color=INK, fontweight="bold")


def legend_below(figure: Figure, axis: Axes) -> None:
    """One legend for the whole figure, below it, where it covers nothing."""
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=len(labels),
        frameon=False,
        fontsize=8,
        labelcolor=INK,
    )


def styles_of(backtest: Backtest, forecasters: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and line style of each name, forecasters first."""
    colours, greys, dashes = cycle(_FORECASTERS), cycle(_BASELINES), cycle(_DASHES)
    ours = {name: (next(colours), "-") for name in forecasters}
    others = [name for name in backtest.scores if name not in ours]
    return ours | {name: (next(greys), next(dashes)) for name in others}


def _spread(errors: NDArray[np.float64], answered: NDArray[np.bool_], most: int) -> list[int]:
    """Up to `most` rows that have a forecast, evenly spread from the least error to the largest."""
    there = np.flatnonzero(answered.any(axis=1))
    ranked = there[np.argsort(errors[there], kind="stable")]  # NaN comes last
    if ranked.size <= most:
        return [int(row) for row in ranked]
    return [int(row) for row in ranked[np.linspace(0, ranked.size - 1, most).round().astype(int)]]


def label_of(backtest: Backtest, name: str) -> str:
    """A name as people write it, with the number of windows where it answered only some."""
    answered = backtest.scores[name].n_windows
    everyone = max(scores.n_windows for scores in backtest.scores.values())
    label = _NAMES.get(name, name)
    return label if answered == everyone else f"{label} ({answered} of {everyone} windows)"


def _short_stamp(stamp: str | int) -> str:
    return stamp[:16].replace("T", " ") if isinstance(stamp, str) else f"step {stamp}"
