"""The demonstration, as a person runs it: twice."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def demo(folder: Path) -> tuple[str, float]:
    """What `gatecast demo --once` prints in `folder`, and how many seconds it takes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "GATECAST"))}
    root = str(Path(__file__).parents[1])
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "gatecast", "demo", "--once", "--port", str(port)],
        cwd=folder,
        env=environment | {"PYTHONPATH": root, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, time.monotonic() - began


def assert_streamed(said: str) -> None:
    """The last year went through a stream, which forecast as the batch does."""
    words = " ".join(said.split())
    assert "one by one through a stream" in words
    apart = re.search(r"against the batch one: (\S+) apart at most", words)
    assert apart is not None
    assert float(apart[1]) <= 1e-5


def test_the_demo_fits_compares_serves_and_forecasts_and_a_second_run_reuses_it(
    tmp_path: Path,
) -> None:
    first, took = demo(tmp_path)
    assert "lstm is version 1, gru is version 2" in first
    assert "is now champion" in first
    for name in ("seasonal_naive", "stl_auto_ets", "curl -s http://127.0.0.1", "mlflow server"):
        assert name in first
    assert (tmp_path / "var" / "co2-forecast.png").stat().st_size > 10_000
    assert_streamed(first)
    second, again = demo(tmp_path)
    assert_streamed(second)
    assert "reusing it" in second
    assert "Fitting" not in second
    assert again < took
    shown = "The last 52 weeks, forecast over HTTP"
    assert (
        first[first.index(shown) :].splitlines()[:20]
        == second[second.index(shown) :].splitlines()[:20]
    )


def test_a_taken_port_is_told_before_anything_is_served(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "gatecast", "demo", "--once", "--port", str(port)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert f"port {port} is taken" in done.stderr
