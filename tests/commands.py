"""The command line as people have it: a process of its own, and data small enough for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
FIT = ("--task", "steps", "--horizon", "4", "--season", "4", "--n-windows", "4", "--threads", "1")


def environment(var: Path) -> dict[str, str]:
    """This process's, with what is kept under `var` and nothing of ours or MLflow's beside."""
    own = ("GATECAST_", "MLFLOW_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    return kept | {"GATECAST_VAR": str(var), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def gatecast(var: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`python -m gatecast …` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "gatecast", *words],
        env=environment(var),
        cwd=var,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def started(var: Path, *words: str) -> subprocess.Popen[str]:
    """The same, not waited for."""
    return subprocess.Popen(
        [sys.executable, "-m", "gatecast", *words],
        env=environment(var),
        cwd=var,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def write_series(path: Path, *, length: int = 120, n_series: int = 2) -> Path:
    """Counted steps of a season of four, with more noise than a naive forecast can bear."""
    random = np.random.default_rng(0)
    lines = ["unique_id,ds,y"]
    for row in range(n_series):
        y = 30 + 5 * np.sin(np.arange(length) * np.pi / 2) + random.normal(0, 2, length)
        lines += [f"{chr(97 + row)},{step},{value:.4f}" for step, value in enumerate(y)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
