"""M4 hourly with default settings: error, intervals, processor time and memory of each cell.

    python -m benchmarks m4

fits each cell as a person would (`gatecast fit Hourly-train.csv …`, a process of its own) and
scores its forecasts on the competition's test file, once. GATECAST_DATA names the folder that
holds `m4/Hourly-train.csv` and `m4/Hourly-test.csv`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import metrics
from models.naive2 import naive2
from models.predict import point, predict
from training.contexts import context
from training.load_version import find_version, load_version
from training.panel import Panel
from training.registry import Registry
from training.sources import load

_HORIZON, _SEASON = 48, 24


def main() -> None:
    """Print a line a cell."""
    folder = os.environ.get("GATECAST_DATA")
    if folder is None or not Path(folder, "m4").is_dir():
        sys.exit("m4: GATECAST_DATA names no folder with m4/Hourly-train.csv in it")
    train_file = Path(folder, "m4", "Hourly-train.csv")
    train, test = (
        load(train_file.with_name(f"Hourly-{part}.csv"), freq="h") for part in ("train", "test")
    )
    truth = np.stack([series.y for series in test.series])  # (414, 48)
    smape2, mase2, scale = _naive2(train, truth)
    print(f"naive2: sMAPE {smape2:.3f}  MASE {mase2:.3f}")
    for cell in ("lstm", "gru"):
        with tempfile.TemporaryDirectory() as var:
            cpu, wall, peak = _fit(train_file, cell, var)
            values, predict_cpu = _forecast(train, Registry.embedded(Path(var)))
        forecast = values[0]
        smape = float(metrics.smape(truth, forecast))
        mase = float(metrics.mase(truth, forecast, scale))
        lower, upper = values[1], values[2]
        msis = float(metrics.msis(truth, lower, upper, scale))
        owa = metrics.owa(smape, mase, smape2, mase2)
        inside80 = float(metrics.coverage(truth, values[3], values[4]))
        inside95 = float(metrics.coverage(truth, lower, upper))
        print(
            f"{cell}: OWA {owa:.4f}  sMAPE {smape:.3f}  MASE {mase:.4f}  MSIS {msis:.3f}  "
            f"80 % covers {inside80:.1%}  95 % covers {inside95:.1%}\n"
            f"  gatecast fit, whole process: {cpu:.0f} CPU-seconds, {wall:.0f} s, "
            f"peak {peak / 2**20:.2f} GiB; all 414 forecasts {predict_cpu:.1f} CPU-seconds",
            flush=True,
        )


def _fit(file: Path, cell: str, var: str) -> tuple[float, float, float]:
    """CPU seconds, wall seconds and peak KiB of one `gatecast fit`."""
    command = [sys.executable, "-m", "gatecast", "fit", str(file), "--task", "m4-hourly"]
    command += ["--freq", "h", "--horizon", str(_HORIZON), "--season", "24,168", "--cell", cell]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment | {"GATECAST_VAR": var})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"m4: the fit ended with status {process.returncode}")
    wall = time.perf_counter() - began
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss


def _forecast(train: Panel, registry: Registry) -> tuple[tuple[NDArray[np.float64], ...], float]:
    """Median, 2.5, 97.5, 10 and 90 % quantiles (414, 48), and the CPU seconds they took."""
    forecaster, _ = load_version(registry, find_version(registry, "m4-hourly", "1"))
    spec = forecaster.spec
    contexts = [context(train, series, spec, len(series)) for series in train.series]
    began = time.process_time()
    values = predict(forecaster, contexts)
    spent = time.process_time() - began
    columns = (values[..., spec.quantiles.index(q)] for q in (0.025, 0.975, 0.1, 0.9))
    return (point(spec, values), *columns), spent


def _naive2(train: Panel, truth: NDArray[np.float64]) -> tuple[float, float, NDArray[np.float64]]:
    """sMAPE and MASE of Naive2, and each series' scale (414,)."""
    forecast = np.stack([naive2(series.y, _SEASON, _HORIZON) for series in train.series])
    scale = np.array([float(metrics.mase_scale(series.y, _SEASON)) for series in train.series])
    smape = float(metrics.smape(truth, forecast))
    return smape, float(metrics.mase(truth, forecast, scale)), scale


if __name__ == "__main__":
    main()
