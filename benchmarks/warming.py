"""Young streams: what their intervals cover, as the network says and widened, and what they miss.

    python -m benchmarks warming

fits each cell with default settings to the demonstration's CO2 record and, where GATECAST_DATA
names the folder that holds `m4/Hourly-train.csv` and `m4/Hourly-test.csv`, to M4 hourly; what
comes after the fits' cutoffs is forecast from histories cut to their newest values.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import metrics
from models.context import Context
from models.forecaster import Forecaster
from models.predict import point, predict
from models.spec import Cell
from training import co2
from training.contexts import contexts
from training.defaults import default_schedule, default_spec
from training.fit import fit
from training.panel import Panel, Series
from training.pipeline import cutoffs
from training.sources import load

_CELLS: tuple[Cell, ...] = ("lstm", "gru")


@dataclass(frozen=True, slots=True)
class Case:
    """What is fitted to, and what is forecast.

    known: what a fit is given; panel: the same and what followed; stride: steps between the origins
    of forecasts, odd so that they begin at all times of the day.
    """

    name: str
    known: Panel
    panel: Panel
    horizon: int
    season: tuple[int, ...]
    n_windows: int
    stride: int


def main() -> None:
    """Print a table a data set and cell."""
    folder = os.environ.get("GATECAST_DATA")
    cases = [record()]
    if folder is None or not Path(folder, "m4").is_dir():
        print("m4: left out, GATECAST_DATA names no folder with m4/Hourly-train.csv in it")
    else:
        cases.append(m4(Path(folder, "m4")))
    for case in cases:
        for cell in _CELLS:
            spec = default_spec(case.known, cell=cell, horizon=case.horizon, season=case.season)
            ends = cutoffs(case.known, spec, case.n_windows, None)
            schedule = default_schedule(case.known, horizon=case.horizon)
            fitted = fit(case.known, spec, schedule, cutoffs=ends)
            print(f"{case.name}, {cell}", flush=True)
            report(case, fitted.forecaster, ends)


def record() -> Case:
    """The weekly CO2 record, whose last four years no fit sees."""
    panel = co2.panel()
    return Case("co2", panel, panel, co2.HORIZON, co2.SEASON, co2.WINDOWS, 5)


def m4(folder: Path) -> Case:
    """M4 hourly: fits see all but the last two days of the training file."""
    train, test = (load(folder / f"Hourly-{part}.csv", freq="h") for part in ("train", "test"))
    followed = {series.unique_id: series.y for series in test.series}
    whole = replace(train, series=tuple(_longer(s, followed[s.unique_id]) for s in train.series))
    return Case("m4 hourly", train, whole, 48, (24, 168), 1, 11)


def report(case: Case, forecaster: Forecaster, ends: NDArray[np.int64]) -> None:
    """Print a line an age: the shares within the 80 and 95 % intervals, before and after."""
    spec, warming = forecaster.spec, forecaster.warming
    pasts: list[Context] = []
    truth = []
    for series, end in zip(case.panel.series, ends, strict=True):
        origins = range(int(end), len(series) - spec.horizon + 1, case.stride)
        pasts += contexts(case.panel, series, spec, origins)
        truth += [series.y[origin : origin + spec.horizon] for origin in origins]
    known = np.stack(truth)  # (n, horizon)
    ages: list[int | None] = [2**k for k in range(14) if 2**k < spec.input_size]
    print(
        f"  {len(pasts)} forecasts an age; 80 %, 95 %: as the network says -> widened; loss; error"
    )
    best = _missed(known, point(spec, predict(forecaster, pasts)))
    for age in [*ages, spec.input_size, None]:
        cut = [_newest(past, age) for past in pasts]
        plain = predict(forecaster.warm(None), cut)
        wide = predict(forecaster.warm(warming), cut)
        shares = [
            f"{_inside(known, plain, spec.quantiles, level):6.1%} -> "
            f"{_inside(known, wide, spec.quantiles, level):6.1%}"
            for level in (0.8, 0.95)
        ]
        loss = [_loss(known, values, spec.quantiles) for values in (plain, wide)]
        error = _missed(known, point(spec, wide)) / best
        same = "" if (plain != wide).any() else "  the same to the last bit"
        ratios = f"x {loss[1] / loss[0]:.2f}   x {error:.2f}"
        print(f"  {age or 'all':>5}: {'   '.join(shares)}   {ratios}{same}")


def _loss(
    truth: NDArray[np.float64], values: NDArray[np.float64], levels: Sequence[float]
) -> float:
    """The quantile loss, each series in its own units: only its ratio to another one counts."""
    size = np.nanmean(np.abs(truth), axis=-1)
    return float(np.nanmean(metrics.pinball(truth, values, levels, axis=-1) / size))


def _missed(truth: NDArray[np.float64], median: NDArray[np.float64]) -> float:
    """The mean absolute error, each series in its own units."""
    size = np.nanmean(np.abs(truth), axis=-1)
    return float(np.nanmean(metrics.mae(truth, median, axis=-1) / size))


def _inside(
    truth: NDArray[np.float64],
    values: NDArray[np.float64],
    levels: Sequence[float],
    inside: float,
) -> float:
    low, high = (
        values[..., int(np.argmin(np.abs(np.array(levels) - bound)))]
        for bound in ((1 - inside) / 2, (1 + inside) / 2)
    )
    return float(metrics.coverage(truth, low, high))


def _newest(past: Context, age: int | None) -> Context:
    """`past` from its newest `age` observed values on; all of it for None."""
    if age is None:
        return past
    begin = int(np.flatnonzero(np.isfinite(past.y))[-age])
    return Context(past.y[begin:], past.exog[begin:], past.futr, past.stat)


def _longer(series: Series, followed: NDArray[np.float64]) -> Series:
    """A series without covariates, and what followed it."""
    y = np.concatenate([series.y, followed])
    none = np.empty((y.size, 0))
    return replace(series, y=y, hist_exog=none, futr_exog=none)


if __name__ == "__main__":
    main()
