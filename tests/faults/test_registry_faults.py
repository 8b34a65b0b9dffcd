"""A registry that is gone, stands still, crawls or lies, under load: no forecast fails of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from models.forecaster import new_forecaster
from store.conventions import CHAMPION
from store.settings import Settings
from tests.faults.clients import all_get_on, sending
from tests.faults.clusters import cluster
from tests.faults.registry_server import RegistryServer, Wire
from tests.faults.serving import TASK, Service
from tests.faults.watchful import Asker, Feeder, Watchful, watching
from tests.service.registries import EmbeddedRegistry, spec
from tests.service.running import eventually

pytestmark = [pytest.mark.slow]

SECONDS = float(os.environ.get("GATECAST_TEST_FAULT_SECONDS", "2"))
"""How long the service is to speak of each fault without a break; 60 by hand."""
COLD_START = 10.0
_SPEC = spec(calendar=("hour_of_day",))
_TWO = {"1": new_forecaster(_SPEC, 1), "2": new_forecaster(_SPEC, 2)}
_QUICK = {"GATECAST_POLL_SECONDS": "0.2"}


@dataclass(frozen=True, slots=True)
class Stage:
    """A registry server, the wire to it, the registry as training writes it, and the service."""

    server: RegistryServer
    wire: Wire
    registry: EmbeddedRegistry
    service: Service

    @property
    def champion(self) -> str:
        """The version that serves."""
        state = httpx.get(f"{self.service.url}/readyz", timeout=30).json()
        return str(state["tasks"][TASK]["version"])

    def swap(self) -> None:
        """Move the alias, and wait until the service has followed it."""
        other = "2" if self.champion == "1" else "1"
        self.registry.alias(TASK, CHAMPION, other)
        eventually(lambda: self.champion == other, seconds=120 + SECONDS)


@contextmanager
def staged(folder: Path, backend: str, **settings: str) -> Iterator[Stage]:
    """All of it at work; the versions are registered over HTTP, their artifacts too."""
    with ExitStack() as stack:
        server = RegistryServer(folder, backend)
        stack.callback(server.kill)
        server.start()
        wire = Wire(server.url)
        stack.callback(wire.close)
        registry = EmbeddedRegistry(Settings(var=folder / "training", tracking_uri=server.url))
        for seed in (1, 2):
            registry.register(TASK, _SPEC, seed=seed, champion=seed == 1)
        var = folder / "var"
        var.mkdir()
        where = {"MLFLOW_TRACKING_URI": wire.url, "MLFLOW_REGISTRY_URI": wire.url}
        service = Service(var, None, **_QUICK, **where, **settings)
        service.start()
        yield Stage(server, wire, registry, service)
        service.stop()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("registry")
    with staged(folder, f"sqlite:///{folder}/mlflow.db") as made:
        yield made


def says_unreachable(url: str) -> bool:
    """Whether the service is ready, and says on both pages that its registry is not."""
    state = httpx.get(f"{url}/readyz", timeout=30)
    assert state.status_code == 200, state.text
    down = "gatecast_registry_up 0.0" in httpx.get(f"{url}/metrics", timeout=30).text
    return down and state.json()["registry"] != "ok"


def stays_unreachable(url: str) -> bool:
    """Whether the service goes on saying so: an answer that was under way may still arrive."""
    end = time.monotonic() + SECONDS
    while says_unreachable(url):
        if time.monotonic() > end:
            return True
        time.sleep(0.1)
    return False


Fault = Callable[[Stage], AbstractContextManager[None]]
FAULTS: dict[str, Fault] = {
    "answers rubbish": lambda stage: stage.wire.sick("rubbish"),
    "crawls": lambda stage: stage.wire.sick("slow"),
    "hangs up": lambda stage: stage.wire.sick("cut"),
    "is frozen": lambda stage: stage.server.frozen(),
    "is killed": lambda stage: stage.server.killed(),
}


@pytest.mark.timeout(500 + 5 * SECONDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_registry_that(fault: str, stage: Stage) -> None:
    """… costs no forecast, is said to be unreachable, and is followed again when it is well."""
    url = stage.service.url
    clients: list[Watchful] = [
        *(Asker(number, url, _TWO, pause=0.02) for number in range(2)),
        *(Feeder(_fed(), url, _TWO, history=50, pause=0.02) for _ in range(2)),
    ]
    with watching(clients):
        with FAULTS[fault](stage):
            eventually(lambda: stays_unreachable(url))
        stage.swap()
        eventually(lambda: all(c.newest == stage.champion or c.wrong for c in clients))
    assert httpx.get(f"{url}/readyz").json()["registry"] == "ok"
    assert "gatecast_registry_up 1.0" in httpx.get(f"{url}/metrics").text
    assert all(sum(client.seen.values()) > 10 for client in clients)


def test_artifacts_that_were_corrupted_are_refused_and_the_old_version_serves(
    stage: Stage,
) -> None:
    url, before = stage.service.url, stage.champion
    version = stage.registry.register(TASK, _SPEC, seed=3, champion=False)
    weights = max(stage.server.artifacts.rglob("*.safetensors"), key=lambda f: f.stat().st_mtime)
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 0xFF
    weights.write_bytes(content)
    asker = Asker(0, url, _TWO, pause=0.02)
    with watching([asker]):
        stage.registry.alias(TASK, CHAMPION, version)

        def refused() -> bool:
            return (
                f'gatecast_champion_refused{{task="{TASK}"}} 1.0'
                in httpx.get(f"{url}/metrics").text
            )

        eventually(refused)
        time.sleep(SECONDS)
        state = httpx.get(f"{url}/readyz").json()["tasks"][TASK]
        assert state["version"] == before
        assert state["last_error"].startswith(f"version {version}: ")
        stage.registry.alias(TASK, CHAMPION, before)
        eventually(lambda: not refused())
    assert asker.seen.keys() == {before}


@pytest.mark.timeout(400)
def test_a_service_that_starts_without_its_registry_serves_what_served_last(
    stage: Stage, tmp_path: Path
) -> None:
    """From a process that has imported nothing, while the registry takes connections only."""
    other = Service(tmp_path, Path(stage.service.log.parent, "bundles"))
    environment = os.environ | _QUICK | {"GATECAST_VAR": str(tmp_path)}
    environment |= {"MLFLOW_TRACKING_URI": stage.wire.url, "MLFLOW_REGISTRY_URI": stage.wire.url}
    environment |= {"GATECAST_REGISTRY_SECONDS": "60"}
    command = [sys.executable, "-m", "gatecast", "serve", "--port", other.url.rpartition(":")[2]]
    with stage.server.frozen():
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: _alive(other.url))
            began = time.monotonic()  # its imports are as slow as the machine is busy
            eventually(other.ready)
            assert time.monotonic() - began < COLD_START
            state = httpx.get(f"{other.url}/readyz").json()
            assert state["registry"] == "not answered yet"
            assert state["tasks"][TASK]["from_disk"]
            assert 'from_disk="true"' in httpx.get(f"{other.url}/metrics").text
            asker = Asker(0, other.url, _TWO)
            with watching([asker]):
                eventually(lambda: sum(asker.seen.values()) > 5 or asker.wrong)
        finally:
            process.terminate()
            process.wait()


@pytest.mark.long
@pytest.mark.timeout(500 + 5 * SECONDS)
def test_the_database_of_both_the_registry_and_the_store_is_restarted(tmp_path: Path) -> None:
    """Batch forecasts go on. Streams are told to come again, and lose nothing."""
    with cluster() as own:
        backend = own.url.replace("postgresql:", "postgresql+psycopg:")
        with (
            staged(tmp_path, backend, GATECAST_DATABASE_URL=own.url) as stage,
            sending(7, 2, [stage.service.url]) as feeders,
        ):
            askers = [Asker(number, stage.service.url, _TWO, pause=0.02) for number in range(2)]
            with watching(askers):
                all_get_on(feeders)
                own.stop("immediate")
                eventually(lambda: stays_unreachable(stage.service.url))
                own.start()
                stage.swap()
                all_get_on(feeders)
                eventually(lambda: all(each.newest == stage.champion for each in askers))


def _alive(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


_fed_so_far = iter(range(100, 10_000))


def _fed() -> int:
    """The number of a stream that nobody has fed."""
    return next(_fed_so_far)
