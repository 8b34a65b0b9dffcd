"""Finished fits without the training: forecasters as their seed made them forecast too."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import numpy as np

from models.forecaster import new_forecaster
from models.spec import Spec
from models.timeline import Timeline
from tests.models.warmings import warming_of
from training.backtest import Backtest, backtest, contender
from training.baselines import naive
from training.fit import Fit
from training.loop import EpochRecord
from training.panel import Panel, Series
from training.register import log_fit
from training.registry import Registry, open_client
from training.versions import Version

HOURS = Timeline(kind="time", freq="h", timezone="Europe/Berlin")
COUNTED = Timeline(kind="integer", freq="1")
TASK = "load-hourly"
BASELINES = ("seasonal_naive",)


def panel(timeline: Timeline = HOURS, *, n_series: int = 3, noise: float = 1.0) -> Panel:
    """200 steps of a season of 24 with a hole, a covariate of each kind, the future known for 9."""
    random = np.random.default_rng(0)
    steps = np.arange(200)
    start: Any = np.datetime64("2024-03-29T00:00", "us") if timeline.kind == "time" else 7
    series = []
    for k in range(n_series):
        y = 50 + 10 * k + 10 * np.sin(steps * 2 * np.pi / 24 + k)
        y += noise * random.normal(size=steps.size)
        y[100:104] = np.nan
        hist, futr = random.normal(size=(200, 1)), random.normal(size=(209, 1))
        hist[3] = futr[150] = np.nan
        series.append(Series(f"site-{k}", start, y, hist, futr, np.array([1.0 + k])))
    return Panel(timeline, tuple(series), ("temperature",), ("price",), ("area",))


def spec(timeline: Timeline = HOURS, **changes: Any) -> Spec:
    """A small forecaster of six steps for `panel`, with all of its covariates."""
    values: dict[str, Any] = {
        "cell": "lstm",
        "timeline": timeline,
        "horizon": 6,
        "input_size": 30,
        "lags": 24,
        "hidden_size": 4,
        "quantiles": (0.025, 0.1, 0.5, 0.9, 0.975),
        "season": (24,),
        "calendar": ("hour_of_day",) if timeline.kind == "time" else (),
        "hist_exog": ("temperature",),
        "futr_exog": ("price",),
        "stat_exog": ("area",),
    }
    return Spec(**(values | changes))


def fit_of(shape: Spec, given: Panel, seed: int = 0) -> Fit:
    """A fit whose forecaster is as its seed made it, and whose losses and warming are made up."""
    records = tuple(
        EpochRecord(step=10 * k, train_loss=1 / k, valid_loss=1.1 / k, lr=1e-3, seconds=0.1 * k)
        for k in range(1, 6)
    )
    return Fit(
        forecaster=new_forecaster(shape, seed).warm(warming_of(shape)),
        history=records,
        cutoffs=np.array([len(series) for series in given.series]),
        seed=seed,
        seconds=1.5,
        cpu_seconds=1.25,
        peak_memory_bytes=200_000_000,
    )


def backtest_of(given: Panel, **fits: Fit) -> Backtest:
    """Two windows a series, against seasonal naive."""
    contenders = {name: contender(fit.forecaster) for name, fit in fits.items()}
    shape = next(iter(fits.values())).forecaster.spec
    return backtest(given, shape, contenders, [naive()], n_windows=2)


def embedded(var: Path) -> Registry:
    """A new embedded registry; MLflow's tables are made once and copied, which saves a second."""
    registry = Registry.embedded(var)
    var.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_empty_database(), var / "mlflow.db")
    return registry


@cache
def _empty_database() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="gatecast-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    open_client(Registry.embedded(folder))
    return folder / "mlflow.db"


def logged(
    registry: Registry,
    given: Panel | None = None,
    *,
    task: str = TASK,
    seed: int = 0,
    **changes: Any,
) -> Version:
    """A fit of `spec(**changes)` logged and registered."""
    given = panel() if given is None else given
    fit = fit_of(spec(given.timeline, **changes), given, seed)
    cell = fit.forecaster.spec.cell
    return log_fit(
        registry,
        task,
        fit,
        backtest_of(given, **{cell: fit}),
        given,
        name=cell,
        baselines=BASELINES,
        source="loads.csv",
        settings={"learning_rate": 3e-3, "batches": 50},
    )


def file_of(uri: str) -> Path:
    """The path that a file:// URI names."""
    return Path(unquote(urlparse(uri).path))
