"""`gatecast fit` as a person would run it, and what it cost; shared by benchmarks of error."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from models.forecaster import Forecaster
from training.load_version import load_version
from training.registry import Registry, open_client
from training.versions import versions

TASK = "bench"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a whole process: CPU and wall seconds, and its peak resident size in KiB."""

    cpu: float
    wall: float
    peak: int

    def __str__(self) -> str:
        return f"{self.cpu:.0f} CPU-seconds, {self.wall:.0f} s, peak {self.peak / 2**20:.2f} GiB"


def fit(file: Path, var: Path, *options: str, quiet: bool = False) -> Cost:
    """Run `gatecast fit FILE` with its registry under `var`. quiet: without its own output."""
    command = [sys.executable, "-m", "gatecast", "fit", str(file), "--task", TASK, *options]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=environment | {"GATECAST_VAR": str(var)},
        stdout=subprocess.DEVNULL if quiet else None,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"the fit ended with status {process.returncode}")
    wall = time.perf_counter() - began
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss)


def registered(var: Path) -> dict[str, tuple[Forecaster, float]]:
    """What `fit` registered, by cell: the forecaster, and the CPU seconds of its training."""
    registry = Registry.embedded(var)
    found: dict[str, tuple[Forecaster, float]] = {}
    for version in reversed(versions(registry, TASK)):
        run = open_client(registry).get_run(version.run_id)
        forecaster, _ = load_version(registry, version)
        found[forecaster.spec.cell] = (forecaster, run.data.metrics["fit/cpu_seconds"])
    return found
