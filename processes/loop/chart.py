"""The loop as a picture: the live error day by day, and what happened when."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from processes.loop.story import Told

_DAYS = 14  # that the line is a mean over


def chart(told: Told) -> Figure:
    """The error of the forecast a day ahead, with the moments of change, drift and swap."""
    error = np.array(told.error)
    known = np.isfinite(error)
    sums = np.convolve(np.where(known, error, 0.0), np.ones(_DAYS))[: error.size]
    counts = np.convolve(known, np.ones(_DAYS))[: error.size]
    line = np.divide(sums, counts, out=np.full(error.size, np.nan), where=counts > 0)
    swap = told.swap or error.size
    days = np.arange(error.size)
    figure = Figure(figsize=(10, 4.5), layout="constrained", dpi=130)
    axis = figure.add_subplot()
    axis.plot(days, error, ".", color="#cbd2d9", ms=2.5)
    for begin, end, color, version in (
        (0, swap, "#c2571a", told.versions[0]),
        (swap, error.size, "#0b6e99", told.versions[1]),
    ):
        axis.plot(
            *(days[begin:end], line[begin:end]), color=color, lw=1.8, label=f"version {version}"
        )
    top = 1.15 * float(np.nanquantile(error, 0.99))
    marks = [(told.change, "habits change", "right"), (swap, "drift, retrained,\npromoted", "left")]
    for day, text, side in marks:
        axis.axvline(day, color="#1f2933", lw=0.8, ls="--")
        shift = -6 if side == "right" else 6
        axis.annotate(
            *(text, (day, top)), (shift, -4), textcoords="offset points", ha=side, va="top"
        )
    axis.set_ylim(0, top)
    axis.set_xlim(max(0, told.change - 400), error.size)
    axis.set_title(
        "Error of the forecast a day ahead, in day-to-day differences (14-day mean)", loc="left"
    )
    axis.set_xlabel("days streamed")
    axis.legend(frameon=False, loc="upper left")
    axis.spines[["top", "right"]].set_visible(False)
    return figure
