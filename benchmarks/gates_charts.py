"""The charts of `docs/gates.md`, the same to the last byte for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.spec import Recurrence

Floats = NDArray[np.float64]

_INK, _GRID = "#1f2933", "#e4e7eb"
_COLOURS = {"elman": "#7b8794", "gru": "#c2571a", "lstm": "#0b6e99"}
_TITLES = {
    "adding": "Adding problem, by length",
    "copying": "Copy problem, by blanks",
}
_LEAST = 1e-12
"""Where a gradient's axis ends: what lies below is nothing in float32."""


def draw_gradients(norms: Mapping[str, Floats], path: Path) -> None:
    """norms: (seeds, lags) by "cell, untrained" and "cell, trained"; geometric means and ranges."""
    figure = Figure((8.0, 3.4), layout="constrained")
    for axes, when in zip(
        figure.subplots(1, 2, sharey=True), ("untrained", "trained"), strict=True
    ):
        for cell, colour in _COLOURS.items():
            values = norms[f"{cell}, {when}"].clip(_LEAST)
            _band(axes, np.arange(values.shape[1]), values.T, colour, cell)
        axes.set(yscale="log", title=f"Gradient by lag, {when}", xlabel="steps back")
        _plain(axes)
    figure.axes[0].set_ylabel("norm of the gradient")
    figure.axes[0].legend(frameon=False)
    _save(figure, path)


def draw_problems(
    errors: Mapping[str, Mapping[Recurrence, Floats]],
    lengths: Mapping[str, Sequence[int]],
    path: Path,
) -> None:
    """errors: (lengths, seeds) over the memoryless error, by problem and cell."""
    figure = Figure((8.0, 3.4), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2, sharey=True), errors, strict=True):
        for cell, values in errors[name].items():
            _band(axes, np.array(lengths[name]), values, _COLOURS[cell], cell)
        axes.axhline(1.0, color=_INK, linewidth=0.8, linestyle=":")
        axes.set(xscale="log", yscale="log", title=_TITLES[name], xlabel="steps")
        axes.set_xticks(lengths[name], labels=[str(length) for length in lengths[name]])
        axes.minorticks_off()
        _plain(axes)
    figure.axes[0].set_ylabel("error, memoryless = 1")
    figure.axes[0].legend(frameon=False)
    _save(figure, path)


def _band(axes: Axes, x: NDArray[np.int64], values: Floats, colour: str, label: str) -> None:
    """values (x, seeds): their geometric mean, and what lies between the extremes."""
    axes.fill_between(x, values.min(1), values.max(1), color=colour, alpha=0.15, linewidth=0)
    axes.plot(x, np.exp(np.log(values).mean(1)), color=colour, label=label)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=_GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def _save(figure: Figure, path: Path) -> None:
    with mpl.rc_context({"svg.hashsalt": "gates"}):
        figure.savefig(path, metadata={"Date": None})
