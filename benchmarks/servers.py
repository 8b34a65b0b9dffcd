"""The two servers that are compared, as the processes that a person would start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

_STARTUP_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs on loopback."""

    port: int
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Processor time of the process and its children since they started."""
        times = [process.cpu_times() for process in self._tree()]
        return sum(each.user + each.system for each in times)

    def memory(self) -> int:
        """Resident bytes of the process and its children."""
        return sum(int(process.memory_info().rss) for process in self._tree())

    def _tree(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def gatecast(var: Path, **settings: str) -> Iterator[Server]:
    """`gatecast serve` with default settings, but for those given."""
    environment = {"GATECAST_VAR": str(var), "GATECAST_LOG_LEVEL": "warning"} | settings
    with _started(["-m", "gatecast", "serve"], var, environment, "/readyz") as server:
        yield server


@contextmanager
def bare(answer: Path, place: Path) -> Iterator[Server]:
    """A FastAPI application that answers what is in a file (`benchmarks.bare`)."""
    command = ["-m", "benchmarks.bare", str(answer)]
    with _started(command, place, {}, "/readyz") as server:
        yield server


@contextmanager
def mlflow(model: Path, place: Path) -> Iterator[Server]:
    """`mlflow models serve` with default settings."""
    command = ["-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local"]
    with _started(command, place, {"MLFLOW_DISABLE_TELEMETRY": "true"}, "/ping") as server:
        yield server


@contextmanager
def _started(
    command: Sequence[str], place: Path, environment: Mapping[str, str], health: str
) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    scripts = str(Path(sys.executable).parent)  # where mlflow looks for uvicorn
    path = {"PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"}
    path["PYTHONPATH"] = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    with (place / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command, "--port", str(port)],
            env=os.environ | path | dict(environment),
            cwd=place,
            stdout=log,
            stderr=log,
        )
    try:
        _await(process, f"http://127.0.0.1:{port}{health}")
        yield Server(port, psutil.Process(process.pid))
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait()
        for child in children:
            if child.is_running():
                child.terminate()


def _await(process: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + _STARTUP_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(url, timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    sys.exit(f"no answer from {url}")
