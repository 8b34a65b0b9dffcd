"""The demonstration's data: the weekly CO2 record of Mauna Loa, which comes with statsmodels."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models import metrics
from models.naive import seasonal_naive
from training.panel import Panel
from training.sources import load_frame

TASK = "co2"
HORIZON = 52
SEASON = (52,)
WINDOWS = 4
"""Years of the backtest, one a window; the last of them is the one that is shown."""

SAME = 1e-5
"""How far a streamed forecast may be from the batch one, relatively: float32 rounds."""

_SHOWN_WEEKS = 3 * 52


@dataclass(frozen=True, slots=True)
class Errors:
    """How a forecast of the last year did, in ppm; inside: share of weeks within each interval."""

    mae: float
    naive_mae: float
    mase: float
    inside: dict[int, float]


def record() -> pl.DataFrame:
    """Columns unique_id, ds, y: 2,284 weeks from 1958-03-29 to 2001-12-29, y in ppm, null in gaps.

    Keeling & Whorf, Scripps Institution of Oceanography, as statsmodels ships it.
    """
    from statsmodels.datasets import co2  # noqa: PLC0415 - takes a second

    frame = co2.load_pandas().data
    return pl.DataFrame(
        {
            "unique_id": ["mauna-loa"] * len(frame),
            "ds": frame.index.to_numpy().astype("datetime64[us]"),
            "y": frame["co2"].to_numpy(),
        }
    ).with_columns(pl.col("y").fill_nan(None))


def panel() -> Panel:
    """The whole record on its weekly grid."""
    return load_frame(record(), freq="W-SAT")


def request(panel: Panel, origin: int, levels: Sequence[int]) -> dict[str, Any]:
    """The body that asks the service for what follows the first `origin` weeks."""
    series = panel.series[0]
    stamps = panel.timeline.format(panel.timeline.at(series.start, np.array([0])))
    values = [None if np.isnan(value) else value for value in series.y[:origin].tolist()]
    one = {"unique_id": series.unique_id, "start": stamps[0], "y": values}
    return {"model": TASK, "level": list(levels), "series": [one]}


def errors(panel: Panel, origin: int, ahead: Mapping[str, Any], levels: Sequence[int]) -> Errors:
    """Hold one series' part of the service's answer against the weeks that followed."""
    y = panel.series[0].y
    past, truth = y[:origin], y[origin:]
    mean = np.array(ahead["mean"])
    naive: NDArray[np.float64] = seasonal_naive(past, HORIZON, HORIZON)[:, 0]
    return Errors(
        mae=float(metrics.mae(truth, mean)),
        naive_mae=float(metrics.mae(truth, naive)),
        mase=float(metrics.mase(truth, mean, metrics.mase_scale(past, HORIZON))),
        inside={level: float(metrics.coverage(truth, *_bounds(ahead, level))) for level in levels},
    )


@dataclass(frozen=True, slots=True)
class Replay:
    """A year that went through a stream week by week.

    mae: of the forecasts one week ahead, ppm; inside: the share of weeks within their interval;
    milliseconds: an observation with its forecast took, over HTTP; difference: the largest relative
    one between the forecast after the last week and the batch forecast of the whole record.
    """

    mae: float
    inside: float
    milliseconds: float
    difference: float


def replayed(panel: Panel, url: str, level: int) -> Replay:
    """Open a new stream with all but the last year, and send it that year's weeks one by one."""
    series = panel.series[0]
    origin = len(series) - HORIZON
    name = f"{series.unique_id}-{time.time_ns():x}"
    when = panel.timeline.format(panel.timeline.at(series.start, np.arange(len(series))))
    values = [None if np.isnan(value) else value for value in series.y.tolist()]
    with httpx.Client(base_url=f"{url}/v1", timeout=30.0) as client:
        stream = f"/models/{TASK}/streams/{name}"
        history = {"start": when[0], "y": values[:origin]}
        client.put(stream, json={"history": history}).raise_for_status()
        ahead = client.get(f"{stream}/forecast?level={level}").raise_for_status().json()["forecast"]
        errors, inside = [], []
        began = time.perf_counter()
        for ds, y in zip(when[origin:], values[origin:], strict=True):
            if y is not None:
                errors.append(abs(y - ahead["mean"][0]))
                inside.append(ahead[f"lo-{level}"][0] <= y <= ahead[f"hi-{level}"][0])
            answer = client.post(
                f"{stream}/observations?forecast=true&level={level}", json={"ds": ds, "y": y}
            )
            ahead = answer.raise_for_status().json()["forecast"]
        seconds = time.perf_counter() - began
        batch = client.post("/forecast", json=request(panel, len(series), [level]))
        whole = batch.raise_for_status().json()["forecasts"][0]
        client.delete(stream).raise_for_status()
    names = ("mean", f"lo-{level}", f"hi-{level}")
    apart = max(float(np.abs(np.divide(ahead[n], whole[n]) - 1).max()) for n in names)
    return Replay(float(np.mean(errors)), float(np.mean(inside)), 1000 * seconds / HORIZON, apart)


def chart(panel: Panel, origin: int, ahead: Mapping[str, Any], levels: Sequence[int]) -> Figure:
    """The answer of the service over the last three years of the record."""
    series = panel.series[0]
    weeks = np.arange(origin - _SHOWN_WEEKS, len(series))
    when = panel.timeline.at(series.start, weeks)
    figure = Figure(figsize=(10, 4.5), layout="constrained", dpi=130)
    axis = figure.add_subplot()
    axis.plot(when, series.y[weeks], color="#222222", lw=1.2, label="observed")
    year = when[-HORIZON:]
    for level in sorted(levels, reverse=True):
        low, high = _bounds(ahead, level)
        axis.fill_between(year, low, high, color="#1f6fb4", alpha=0.22, lw=0, label=f"{level} %")
    axis.plot(year, ahead["mean"], color="#1f6fb4", lw=1.6, label="forecast")
    axis.set_title("CO2 at Mauna Loa: the last year, forecast before it happened", loc="left")
    axis.set_ylabel("ppm")
    axis.legend(frameon=False, loc="upper left")
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _bounds(
    ahead: Mapping[str, Any], level: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.array(ahead[f"lo-{level}"]), np.array(ahead[f"hi-{level}"])
