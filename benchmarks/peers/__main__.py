"""Gatecast beside its peers on M4 hourly: one table.

    make peers

Each row is fitted in a process of its own, one thread, one after the other, and scored once on the
competition's test file. GATECAST_DATA names the folder that holds `m4/Hourly-train.csv` and
`m4/Hourly-test.csv`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.fitted import fit, registered
from benchmarks.peers.libraries import HORIZON, LEVELS, PEERS, SEASON
from models import metrics
from models.context import Context
from models.forecaster import Forecaster
from models.naive import seasonal_naive
from models.naive2 import naive2
from models.predict import predict, replayed
from models.stepper import Stepper
from training.contexts import context
from training.panel import Panel
from training.sources import load

_PYTHON = ".venv-peers/bin/python"
_CALLS, _BATCH = 200, 256

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Row:
    """What one forecaster forecasts, (414, 48, levels), and what it costs.

    fit: CPU seconds; all: CPU seconds of a forecast of all series from raw history; one: those that
    one more observation of one series costs, forecast included; batch: the same a series in a
    batch, for which a peer has no other way than `all`; peak: bytes.
    """

    name: str
    values: Values
    fit: float
    all: float
    one: float
    batch: float
    peak: float


class PeerError(Exception):
    """A peer that could not be fitted, or did not forecast; what it said."""


def main() -> None:
    """Print the table, a row at a time."""
    folder = os.environ.get("GATECAST_DATA")
    python = str(Path(_PYTHON).absolute())
    if folder is None or not Path(folder, "m4").is_dir():
        sys.exit("peers: GATECAST_DATA names no folder with m4/Hourly-train.csv in it")
    if not Path(python).exists():
        sys.exit(f"peers: {python} is not there; `make peers` makes it")
    train, test = (
        load(Path(folder, "m4", f"Hourly-{part}.csv"), freq="h") for part in ("train", "test")
    )
    truth = np.stack([series.y for series in test.series])  # (414, 48)
    print(
        "| | OWA | MASE | wQL | MSIS | 80 % | 95 % | fit, CPU s | all series, CPU ms a series |"
        " one more observation, ms | in a batch, ms | memory, GiB |\n" + "| --- " * 12 + "|"
    )
    names = sys.argv[1:] or [*PEERS, "seasonal naive", "gatecast"]
    failed = []
    for name in names:
        if name == "gatecast":
            rows = _ours(Path(folder, "m4", "Hourly-train.csv"), train)
        elif name == "seasonal naive":
            rows = [_naive(train)]
        else:
            try:
                rows = [_peer(python, name, train)]
            except PeerError as error:  # the others took an hour, and have theirs to say
                print(f"peers: {name}:\n{error}", file=sys.stderr, flush=True)
                failed.append(name)
                continue
        for row in rows:
            print(_line(row, train, truth), flush=True)
    if failed:
        sys.exit(f"peers: failed: {', '.join(failed)}")


def _peer(python: str, name: str, train: Panel) -> Row:
    with tempfile.TemporaryDirectory() as scratch:
        given, made = Path(scratch, "train.npz"), Path(scratch, "out.npz")
        lengths = np.array([len(each) for each in train.series])
        np.savez(given, values=np.concatenate([each.y for each in train.series]), lengths=lengths)
        root = Path(__file__).parents[2]
        done = subprocess.run(
            [python, "-m", "benchmarks.peers.measure", name, str(given), str(made)],
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise PeerError(done.stderr[-2000:])
        with np.load(made) as kept:
            values, facts = kept["values"], json.loads(str(kept["facts"]))
    return Row(
        name,
        values,
        facts["fit_cpu_seconds"],
        facts["all_cpu_seconds"],
        facts["one_cpu_seconds"],
        facts["all_cpu_seconds"] / len(values),
        facts["peak_bytes"],
    )


def _naive(train: Panel) -> Row:
    began = time.process_time()
    values = np.stack([seasonal_naive(s.y, SEASON, HORIZON, LEVELS) for s in train.series])
    spent = time.process_time() - began
    return Row("seasonal naive", values, 0.0, spent, spent / len(values), spent / len(values), 0.0)


def _ours(train_file: Path, train: Panel) -> list[Row]:
    with tempfile.TemporaryDirectory() as var:
        options = ("--freq", "h", "--horizon", str(HORIZON), "--threads", "1", "--cell", "all")
        cost = fit(train_file, Path(var), *options, quiet=True)
        peak = 1024.0 * cost.peak
        return [
            _our_row(f"**gatecast {cell}**", forecaster, cpu, train, peak)
            for cell, (forecaster, cpu) in registered(Path(var)).items()
        ]


def _our_row(name: str, forecaster: Forecaster, cpu: float, train: Panel, peak: float) -> Row:
    spec = forecaster.spec
    torch.set_num_threads(1)
    contexts = [context(train, series, spec, len(series)) for series in train.series]
    began = time.process_time()
    said = predict(forecaster, contexts)  # (414, 48, outputs)
    spent = time.process_time() - began
    columns = [spec.quantiles.index(level) for level in LEVELS]
    one, batch = (_step_seconds(forecaster, contexts[:n]) for n in (1, _BATCH))
    return Row(name, said[..., columns], cpu, spent, one, batch / _BATCH, peak)


@torch.inference_mode()
def _step_seconds(forecaster: Forecaster, known: Sequence[Context]) -> float:
    """One more observation of each stream that has seen what is known of its series, and the
    forecasts that follow: the median of calls."""
    spec, n = forecaster.spec, len(known)
    state, stepper = replayed(forecaster, known), Stepper(forecaster)
    newest = np.array([each.y[-1] for each in known])
    random = np.random.default_rng(0)
    exog = torch.zeros(n, spec.exog_size) if spec.exog_size else None
    took = []
    for _ in range(_CALLS):
        y = torch.from_numpy(newest * np.exp(0.01 * random.normal(size=n)))
        before = time.process_time()
        state, _ = stepper.step(state, y, exog)
        took.append(time.process_time() - before)
    return float(np.median(took[_CALLS // 4 :]))


def _line(row: Row, train: Panel, truth: Values) -> str:
    scale = np.array([float(metrics.mase_scale(each.y, SEASON)) for each in train.series])
    reference = np.stack([naive2(each.y, SEASON, HORIZON) for each in train.series])
    smape2 = float(metrics.smape(truth, reference))
    mase2 = float(metrics.mase(truth, reference, scale))
    low95, low80, point, high80, high95 = (row.values[..., q] for q in range(len(LEVELS)))
    smape = float(metrics.smape(truth, point))
    mase = float(metrics.mase(truth, point, scale))
    owa = metrics.owa(smape, mase, smape2, mase2)
    wql = float(metrics.weighted_quantile_loss(truth, row.values, LEVELS))
    msis = float(metrics.msis(truth, low95, high95, scale))
    inside80 = ((low80 <= truth) & (truth <= high80)).mean()
    inside95 = ((low95 <= truth) & (truth <= high95)).mean()
    return (
        f"| {row.name} | {owa:.3f} | {mase:.3f} | {wql:.4f} | {msis:.2f} | {inside80:.1%} "
        f"| {inside95:.1%} | {row.fit:.0f} | {1000 * row.all / len(truth):.2f} "
        f"| {1000 * row.one:.3f} | {1000 * row.batch:.4f} | {row.peak / 2**30:.2f} |"
    )


if __name__ == "__main__":
    main()
