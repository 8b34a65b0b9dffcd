"""The chart of a comparison: error, error by step ahead, and the difference to the champion."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from training.comparison.head_to_head import HeadToHead
from training.plots import INK, SOFT, entitle, label_of, legend_below, new_figure, styles_of

_MOST = 12


def versions_chart(found: HeadToHead) -> Figure:
    """MASE overall, MASE by step ahead, and the relative difference with its 95 % interval.

    At most twelve versions, the newest. Raises ValueError where none has windows to be shown.
    """
    if found.shared is None:
        raise ValueError("no version has kept forecasts: --data scores them on the same windows")
    ours = [name for name in found.shared.scores if name.startswith("version ")][:_MOST]
    rest = [name for name in found.shared.scores if not name.startswith("version ")]
    shown = found.shared.scores
    styles = {
        name: style
        for name, style in styles_of(found.shared, ours).items()
        if name in ours or name in rest
    }
    height = max(3.2, 0.34 * len(styles) + 1.4)
    figure, (bars, lines, forest) = new_figure(1, 3, (13.0, height))
    names = list(styles)[::-1]
    values = [shown[name].overall["mase"] for name in names]
    bars.barh(range(len(names)), values, color=[styles[name][0] for name in names], height=0.62)
    for place, value in enumerate(values):
        bars.text(np.nan_to_num(value), place, f" {value:.3g}", va="center", fontsize=8, color=INK)
    bars.set_yticks(range(len(names)), [label_of(found.shared, name) for name in names])
    bars.margins(x=0.25)
    bars.set_xlim(left=0)
    entitle(bars, "MASE")
    steps = np.arange(1, found.shared.windows.horizon + 1)
    for name, (colour, dash) in styles.items():
        lines.plot(
            steps,
            shown[name].by_horizon["mase"],
            color=colour,
            ls=dash,
            marker="o" if len(steps) == 1 else "",
            label=label_of(found.shared, name),
        )
    lines.set_ylim(bottom=0)
    lines.set_xlabel("steps ahead", fontsize=8, color=SOFT)
    lines.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    entitle(lines, "MASE by step ahead")
    _forest(forest, found)
    legend_below(figure, lines)
    return figure


def _forest(axis: Axes, found: HeadToHead) -> None:
    """A line a version: how much more or less error it has than the one it is held to."""
    pairs = [pair for pair in found.pairs if pair.contest is not None][:_MOST][::-1]
    for place, pair in enumerate(pairs):
        contest = pair.contest
        if contest is None:
            continue
        if contest.relative is not None:
            ends = (100 * contest.relative.low, 100 * contest.relative.high)
            axis.plot(ends, (place, place), color=SOFT, lw=2)
        axis.plot(100 * contest.change, place, "o", color=INK, ms=5)
    axis.axvline(0.0, color=SOFT, lw=0.8, ls=":")
    axis.set_yticks(range(len(pairs)), [f"version {pair.version}" for pair in pairs])
    axis.set_ylim(-0.6, max(len(pairs), 1) - 0.4)
    axis.grid(visible=False, axis="y")
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g} %"))
    against = f" to version {found.pairs[0].against}" if found.pairs else ""
    entitle(axis, f"MASE difference{against}, 95 %")
