"""Servers of other people, started for a test and ended with all their children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

_PATIENCE = 120.0  # seconds; `mlflow server` alone imports for ten on a busy machine


@contextmanager
def mlflow_process(arguments: Sequence[str], place: Path, *, health: str) -> Iterator[str]:
    """`mlflow ARGUMENTS --port …` in a folder, until its `health` path answers; yields the URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    folder = Path(sys.executable).parent  # mlflow looks for uvicorn on the path
    environment = {
        **os.environ,
        "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', '')}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (place / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *arguments, "--port", str(port)],
            cwd=place,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _await(process, url + health, place / "log.txt")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"no answer from {url}:\n{log.read_text()}")
