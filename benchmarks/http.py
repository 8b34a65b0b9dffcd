"""The service against `mlflow models serve` on the same model, and against no HTTP at all.

    python -m benchmarks http

takes about three minutes and trains nothing: the forecasters (two layers of 96, a window of 168, 48
steps ahead, 11 quantiles) are as their seed made them, which costs the same to run. The servers are
measured in turns, so that whatever else the machine does falls on both; the figures to trust are
the ratios and the processor time. Everything is on loopback.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import orjson
import torch
from numpy.typing import NDArray

from benchmarks import closed_loop, servers
from models.bundle import read_bundle
from models.context import Context
from models.forecaster import Forecaster, new_forecaster
from models.predict import predict
from models.spec import Cell, Spec
from models.timeline import CalendarFeature, Timeline
from store.conventions import BUNDLE_FOLDER, CHAMPION
from training.backtest import backtest, contender
from training.baselines import naive
from training.defaults import default_spec
from training.fit import Fit
from training.panel import Panel, Series
from training.register import log_fit
from training.registry import Registry, open_client

_CONNECTIONS, _ROUNDS, _ROUND_SECONDS = 16, 5, 4.0
_HISTORY = 336  # steps of a single series, from raw history
_SERIES, _LENGTH = 414, 850  # about M4 hourly
_BATCHES = 7

Values = NDArray[np.float64]


def main() -> None:
    """Print a line a measurement, for each cell."""
    cells: tuple[Cell, ...] = ("gru", "lstm")
    for cell in cells:
        with tempfile.TemporaryDirectory() as scratch:
            print(f"{cell}, 2 x 96")
            model = register(Path(scratch), reference(cell, Timeline(kind="integer", freq="h")))
            with servers.gatecast(Path(scratch)) as service:
                _warm(service)
                (Path(scratch) / "mlflow").mkdir()
                with servers.mlflow(model, Path(scratch) / "mlflow") as mlflow:
                    _singles(service, mlflow)
                forecaster, _ = read_bundle(model / BUNDLE_FOLDER)
                _batch(service, forecaster)


def _singles(service: servers.Server, mlflow: servers.Server) -> None:
    """One series a request, 16 connections, in turns."""
    y = _series(_HISTORY, 1)[0]
    asked = {
        "gatecast serve": (service, "/v1/forecast", _request([y])),
        "mlflow models serve": (mlflow, "/invocations", _invocation(y)),
    }
    rates: dict[str, list[float]] = {name: [] for name in asked}
    work: dict[str, list[float]] = {name: [] for name in asked}
    slow: dict[str, list[float]] = {name: [] for name in asked}
    for turn in range(_ROUNDS + 1):
        for name, (server, path, body) in asked.items():
            before = server.cpu_seconds()
            load = closed_loop.run(
                server.port, path, body, connections=_CONNECTIONS, seconds=_ROUND_SECONDS
            )
            if turn:  # the first warms up
                rates[name].append(load.rate)
                work[name].append(1000 * (server.cpu_seconds() - before) / len(load.latencies))
                slow[name].append(1000 * load.latency(0.99))
    print(f"  one series of {_HISTORY} values a request, {_CONNECTIONS} connections")
    for name, (server, *_) in asked.items():
        print(
            f"    {name:20}  {_spread(rates[name], 'requests a second')}"
            f"  {_spread(work[name], 'ms of processor each')}"
            f"  99 % within {median(slow[name]):.0f} ms  {server.memory() / 2**20:.0f} MiB"
        )
    ours, theirs = asked
    print(
        f"    {median(rates[ours]) / median(rates[theirs]):.2f} times the requests,"
        f" {median(work[theirs]) / median(work[ours]):.2f} times less processor time each"
    )


def _batch(service: servers.Server, forecaster: Forecaster) -> None:
    """414 series in one request, in turns with the same forecasts in this process."""
    ys = _series(_LENGTH, _SERIES)
    body = _request(ys)
    contexts = [_context(y) for y in ys]
    walls: dict[str, list[float]] = {"http": [], "direct": []}
    work: dict[str, list[float]] = {"http": [], "direct": []}
    torch.set_num_threads(1)  # as each of the service's workers has
    threads = service.process.cpu_affinity() or [0]
    with ThreadPoolExecutor(len(threads)) as pool:
        for _ in range(_BATCHES):
            before = service.cpu_seconds()
            load = closed_loop.run(
                service.port, "/v1/forecast", body, connections=1, seconds=0, least=1
            )
            walls["http"].append(load.seconds)
            work["http"].append(service.cpu_seconds() - before)
            wall, cpu = time.perf_counter(), time.process_time()
            chunks = [contexts[i :: 2 * len(threads)] for i in range(2 * len(threads))]
            list(pool.map(lambda chunk: predict(forecaster, chunk), chunks))
            walls["direct"].append(time.perf_counter() - wall)
            work["direct"].append(time.process_time() - cpu)
    print(f"  {_SERIES} series of {_LENGTH} values in one request, 11 quantiles")
    for name, label in (("http", "over HTTP"), ("direct", "without")):
        print(
            f"    {label:20}  {_spread(walls[name], 'seconds', 2)}"
            f"  {_spread(work[name], 'seconds of processor', 2)}"
        )
    print(
        f"    HTTP costs {median(walls['http']) / median(walls['direct']) - 1:+.0%} time,"
        f" {median(work['http']) / median(work['direct']) - 1:+.0%} processor time"
    )


def _spread(values: Sequence[float], unit: str, digits: int = 1) -> str:
    low, high = min(values), max(values)
    return f"{median(values):.{digits}f} {unit} ({low:.{digits}f} to {high:.{digits}f})"


def _warm(service: servers.Server) -> None:
    body = _request(_series(_HISTORY, 1))
    closed_loop.run(service.port, "/v1/forecast", body, connections=1, seconds=1)


def _series(length: int, count: int) -> Values:
    """(count, length) values with a day and a week in them."""
    random, steps = np.random.default_rng(0), np.arange(length)
    season = 100 * np.sin(steps * 2 * np.pi / 24) + 30 * np.sin(steps * 2 * np.pi / 168)
    values: Values = np.round(500 + season + 10 * random.standard_normal((count, length)), 2)
    return values


def _panel(timeline: Timeline, length: int) -> Panel:
    """One series."""
    none = np.zeros((length, 0))
    start = np.datetime64("2026-01-01", "us") if timeline.kind == "time" else 0
    return Panel(timeline, (Series("H0", start, _series(length, 1)[0], none, none, np.zeros(0)),))


def _request(ys: Values | Sequence[Values]) -> bytes:
    series = [{"unique_id": f"H{i}", "y": y.tolist()} for i, y in enumerate(ys)]
    return orjson.dumps({"model": "bench", "series": series})


def _invocation(y: Values) -> bytes:
    rows = [["H0", step, value] for step, value in enumerate(y.tolist())]
    split: dict[str, Any] = {"columns": ["unique_id", "ds", "y"], "data": rows}
    return orjson.dumps({"dataframe_split": split})


def _context(y: Values) -> Context:
    return Context(
        y=y,
        exog=np.zeros((len(y), 0), np.float32),
        futr=np.zeros((48, 0), np.float32),
        stat=np.zeros(0, np.float32),
    )


def reference(cell: Cell, timeline: Timeline, calendar: tuple[CalendarFeature, ...] = ()) -> Spec:
    """What is measured: the defaults for hourly series, 48 steps ahead."""
    panel = _panel(timeline, _SERIES * _LENGTH)  # as many values, for as large a network
    spec = default_spec(panel, cell=cell, horizon=48, season=(24, 168))
    return spec.model_copy(update={"calendar": calendar})


def register(var: Path, spec: Spec) -> Path:
    """Make an untrained champion of task `bench` in the embedded registry; where its model lies."""
    panel = _panel(spec.timeline, _HISTORY)
    forecaster = new_forecaster(spec, seed=0)
    fit = Fit(forecaster, (), np.array([_HISTORY]), 0, 0.0, 0.0, 0)
    scored = backtest(panel, spec, {spec.cell: contender(forecaster)}, [naive()])
    registry = Registry.embedded(var)
    version = log_fit(
        registry,
        "bench",
        fit,
        scored,
        panel,
        name=spec.cell,
        baselines=("seasonal_naive",),
        source="made up",
        settings={},
    )
    open_client(registry).set_registered_model_alias("bench", CHAMPION, str(version.number))
    return Path(unquote(urlsplit(version.source).path))
