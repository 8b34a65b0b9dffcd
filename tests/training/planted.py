"""Versions in a real registry whose backtests are made of planted errors."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.naive import seasonal_naive
from store.database import Database, open_database
from store.migrate import migrate
from tests.training.fits import BASELINES, COUNTED, TASK, fit_of, panel, spec
from tests.training.synthetic import LEVELS, Errors, forecasts_of
from training.backtest import Backtest, judge
from training.comparison.kept import KEPT, keep
from training.facts import scores
from training.load_version import load_version
from training.origins import Windows, rolling_windows
from training.panel import Panel
from training.promotion.incumbents import label
from training.register import log_fit
from training.registry import Registry, open_client
from training.scores import Forecasts
from training.versions import Duel, Version, tasks, version_tags, versions

PANEL: Panel = panel(COUNTED, n_series=3)
WINDOWS: Windows = rolling_windows(PANEL, horizon=6, season=24, n_windows=10)
SCALE = WINDOWS.scale[..., None]


def errors(seed: int, size: float = 0.4) -> Errors:
    """Scaled errors (S, W, horizon)."""
    return np.random.default_rng(seed).normal(0.0, size, WINDOWS.truth.shape)


def backtest_with(windows: Windows = WINDOWS, **scaled: Errors) -> Backtest:
    """What forecasters with these errors would have said, and seasonal naive."""
    truth = np.where(np.isnan(windows.truth), 50.0, windows.truth)
    forecasts = {}
    for name, each in scaled.items():
        made = forecasts_of(windows, each, spread=0.4)
        values = truth[..., None] + made.values * windows.scale[..., None, None]
        forecasts[name.replace("_", " ")] = replace(made, values=values)
    naive = np.stack(
        [
            [
                seasonal_naive(PANEL.series[row].y[:origin], 24, windows.horizon, LEVELS)
                for origin in origins
            ]
            for row, origins in zip(windows.series, windows.origins, strict=True)
        ]
    )
    forecasts["seasonal_naive"] = Forecasts(LEVELS, naive, np.ones(windows.origins.shape, np.bool_))
    return judge(windows, forecasts, LEVELS)


def plant(
    registry: Registry,
    planted: Errors,
    champion: tuple[int, Errors] | None = None,
    *,
    windows: Windows = WINDOWS,
) -> Version:
    """A version with planted errors; champion: one that is scored on the same windows.

    The first is logged as any fit is. Later ones share its weights, and have a run, a backtest and
    tags of their own, which is ten times as fast.
    """
    rivals = {} if champion is None else {label(champion[0]): champion[1]}
    result = backtest_with(windows, lstm=planted, **rivals)
    found = versions(registry, TASK) if TASK in tasks(registry) else ()
    if not found:
        return log_fit(
            registry,
            TASK,
            fit_of(spec(COUNTED), PANEL),
            result,
            PANEL,
            name="lstm",
            baselines=BASELINES,
            source="loads.csv",
            settings={},
        )
    client, first = open_client(registry), found[-1]
    _, manifest = load_version(registry, first)
    experiment = client.get_experiment_by_name(TASK)
    run = client.create_run(experiment.experiment_id).info.run_id
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / KEPT).parent.mkdir()
        keep(Path(scratch) / KEPT, result, ["lstm", *rivals, *BASELINES])
        client.log_artifacts(run, scratch)
    mases = [result.scores[name].overall["mase"] for name in ("lstm", *BASELINES)]
    duel = Duel(forecaster=mases[0], baseline=mases[1], n_windows=result.scores["lstm"].n_windows)
    scored = manifest.model_copy(update={"scores": scores(result, "lstm", BASELINES)})
    tags = version_tags(scored, {"seasonal_naive": duel})
    made = client.create_model_version(TASK, source=first.source, run_id=run, tags=tags)
    return next(v for v in versions(registry, TASK) if v.number == int(made.version))


@contextmanager
def store_in(folder: Path) -> Iterator[Database]:
    """A store of its own."""
    url = f"sqlite:///{folder}/gatecast.db"
    migrate(url)
    database = open_database(url)
    try:
        yield database
    finally:
        database.close()
