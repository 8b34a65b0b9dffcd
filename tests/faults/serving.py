"""`gatecast serve` as a process that may be killed and started again within half a second.

It is forked from a process that has imported everything already, and runs the command itself. It
serves what is on disk: the registry's client, which takes seconds to start, is given no time, and
so the registry is down. Where it is given nothing on disk, it follows its registry.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx

from models.bundle import read_bundle
from models.forecaster import Forecaster
from store.settings import Settings
from tests.service.registries import EmbeddedRegistry, spec
from tests.service.running import eventually, ready, running

TASK = "load"
_START_SECONDS = 30.0
_REGISTRY_SECONDS = 120.0  # with nothing on disk, on a busy machine


def served_once(var: Path) -> Path:
    """A folder of bundles, as a service leaves it that has had its registry."""
    settings = Settings(var=var, port=0, forecast_threads=1)
    EmbeddedRegistry(settings).register(TASK, spec(calendar=("hour_of_day",)))
    with running(settings) as url:
        ready(url)
        eventually((settings.bundles / TASK / "champion").is_file)
    return settings.bundles


def forecaster_of(bundles: Path) -> Forecaster:
    """What the service forecasts with."""
    return read_bundle(bundles / TASK / "1" / "bundle")[0]


class Service:
    """A service on a port of its own, which it has again whenever it is started.

    var: its folder; what it logs is in `log.txt` there. bundles: what it has on disk and serves, or
    None where it has a registry.
    """

    def __init__(self, var: Path, bundles: Path | None, **environment: str) -> None:
        if bundles is not None:
            shutil.copytree(bundles, var / "bundles")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.log = var / "log.txt"
        self._environment = {
            "GATECAST_VAR": str(var),
            "GATECAST_LOG_LEVEL": "warning",
            "GATECAST_POLL_SECONDS": "86400",
            "GATECAST_FORECAST_THREADS": "1",
            **environment,
        }
        self._start_seconds = None if bundles is None else 0.02
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload(["tests.faults.warm"])
        self._process: ForkServerProcess | None = None

    def begin(self) -> None:
        """Start it, without waiting."""
        self._process = self._context.Process(
            target=_serve,
            args=(self._port, self._environment, str(self.log), self._start_seconds),
            daemon=True,
        )
        self._process.start()

    def start(self) -> None:
        """Start it, until it is ready."""
        self.begin()
        self.wait()

    def wait(self) -> None:
        """Wait until it is ready."""
        alone = self._start_seconds is not None
        end = time.monotonic() + (_START_SECONDS if alone else _REGISTRY_SECONDS)
        while not self.ready():
            assert self.alive, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.01)

    def ready(self) -> bool:
        """Whether it takes work."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    @property
    def process(self) -> ForkServerProcess:
        """What was started last."""
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.is_alive()

    def kill(self) -> None:
        """`kill -9`, until it is gone."""
        self.process.kill()
        self.process.join()

    def stop(self) -> None:
        """Let it end, as an operator would."""
        self.process.terminate()
        self.process.join(30)
        assert not self.alive, "the service does not stop"


def _serve(port: int, environment: dict[str, str], log: str, start: float | None) -> None:
    os.environ.update(environment)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    import gatecast  # noqa: PLC0415 - as the command would, after its environment is set
    from service import registry  # noqa: PLC0415

    if start is not None:
        registry._START_SECONDS = start
    sys.argv = ["gatecast", "serve", "--port", str(port)]
    gatecast.main()
