"""What the service does when the registry changes, breaks, lies or is gone."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from service.bundles import Bundles
from service.registry import RegistryDownError
from service.slots import Loaded, Slots
from service.watch import Watch, pause
from store.settings import Settings
from tests.service.conftest import counted
from tests.service.registries import COUNTED, EmbeddedRegistry, spec, write
from tests.service.running import eventually, ready, running
from tests.service.shelf import Shelf

STEPS = spec(timeline=COUNTED)


def served(client: httpx.Client, task: str) -> str | None:
    """The version that answers a forecast now."""
    answer = client.post("/v1/forecast", json=counted(task))
    return str(answer.json()["version"]) if answer.is_success else None


def serves(client: httpx.Client, task: str, version: str) -> Callable[[], bool]:
    return lambda: served(client, task) == version


def last_error(client: httpx.Client, task: str) -> str:
    return client.get(f"/v1/models/{task}").json().get("last_error") or ""


def test_a_new_champion_is_put_in_service_without_a_failed_request(
    client: httpx.Client, registry: EmbeddedRegistry
) -> None:
    registry.register("swapped", STEPS, seed=1)
    eventually(serves(client, "swapped", "1"))
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=client.base_url, timeout=30) as other:
            while not stop.is_set():
                answer = other.post("/v1/forecast", json=counted("swapped"))
                statuses.append(answer.status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    registry.register("swapped", STEPS, seed=2)
    eventually(serves(client, "swapped", "2"))
    stop.set()
    asking.join()
    assert set(statuses) == {200}


def test_a_rollback_is_followed(client: httpx.Client, registry: EmbeddedRegistry) -> None:
    registry.register("rolled", STEPS, seed=1)
    registry.register("rolled", STEPS, seed=2)
    eventually(serves(client, "rolled", "2"))
    registry.alias("rolled", "champion", "1")
    eventually(serves(client, "rolled", "1"))


def test_a_damaged_champion_leaves_the_old_one_in_service(
    client: httpx.Client, registry: EmbeddedRegistry, settings: Settings
) -> None:
    registry.register("damaged", STEPS)
    eventually(serves(client, "damaged", "1"))
    registry.register("damaged", STEPS, damage=True)
    eventually(lambda: "weights.safetensors" in last_error(client, "damaged"))
    assert last_error(client, "damaged").startswith("version 2: ")
    assert str(settings.var) not in last_error(client, "damaged")
    assert served(client, "damaged") == "1"
    states = client.get("/readyz").json()
    assert states["ready"]
    assert states["tasks"]["damaged"]["last_error"] == last_error(client, "damaged")
    answer = client.post("/v1/forecast", json=counted("damaged", version=2))
    assert answer.status_code == 409
    registry.register("damaged", STEPS, seed=3)
    eventually(serves(client, "damaged", "3"))
    assert last_error(client, "damaged") == ""


def test_a_task_whose_only_version_is_damaged_says_so(
    client: httpx.Client, registry: EmbeddedRegistry
) -> None:
    registry.register("broken", STEPS, damage=True)
    eventually(lambda: last_error(client, "broken"))
    assert client.get("/v1/models/broken").json()["state"] == "failed"
    answer = client.post("/v1/forecast", json=counted("broken"))
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert client.get("/readyz").status_code == 200


def test_a_champion_without_a_bundle_is_refused(
    client: httpx.Client, registry: EmbeddedRegistry, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}")
    registry.register_folder("bare", tmp_path / "model")
    eventually(lambda: "no bundle" in last_error(client, "bare"))


def test_artifacts_elsewhere_are_not_fetched(
    client: httpx.Client, registry: EmbeddedRegistry
) -> None:
    registry.register_source("elsewhere", "http://169.254.169.254/latest/meta-data")
    eventually(lambda: "outside the allowed sources" in last_error(client, "elsewhere"))


def test_a_model_made_anew_under_its_old_name_is_another(
    client: httpx.Client, registry: EmbeddedRegistry
) -> None:
    registry.register("remade", STEPS, seed=1)
    eventually(serves(client, "remade", "1"))
    before = client.post("/v1/forecast", json=counted("remade")).json()
    registry.delete("remade")
    registry.register("remade", STEPS, seed=9)

    def another() -> bool:
        after = client.post("/v1/forecast", json=counted("remade")).json()
        return bool(after["version"] == "1" and after["forecasts"] != before["forecasts"])

    eventually(another)


def test_a_champion_that_is_no_longer_named_goes_on_serving(
    client: httpx.Client, registry: EmbeddedRegistry
) -> None:
    registry.register("unnamed", STEPS)
    eventually(serves(client, "unnamed", "1"))
    registry.delete_alias("unnamed", "champion")
    eventually(lambda: "names no champion" in last_error(client, "unnamed"))
    assert served(client, "unnamed") == "1"


@pytest.fixture
def fetched(settings: Settings, url: str, tmp_path: Path) -> Settings:
    """Settings of a service that has served before, and whose registry is a closed port."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    shutil.copytree(settings.bundles / "steps", tmp_path / "bundles" / "steps")
    address = f"http://127.0.0.1:{port}"
    return settings.model_copy(
        update={
            "var": tmp_path,
            "tracking_uri": address,
            "registry_uri": address,
            "registry_seconds": 2.0,
        }
    )


@pytest.fixture
def alone(fetched: Settings) -> Iterator[httpx.Client]:
    """A service without a registry."""
    with running(fetched) as url, httpx.Client(base_url=url, timeout=30) as client:
        ready(url)
        yield client


def test_without_a_registry_what_served_last_serves(alone: httpx.Client) -> None:
    assert served(alone, "steps") == "1"
    state = alone.get("/readyz").json()
    assert state["ready"]
    assert state["registry"] != "ok"
    assert alone.post("/v1/forecast", json=counted(version=1)).status_code == 200
    for answer in (
        alone.get("/v1/models/steps/versions"),
        alone.post("/v1/forecast", json=counted(version=2)),
    ):
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.json()["type"] == "urn:gatecast:problem:registry-unavailable"


def test_without_a_registry_a_bundle_altered_on_disk_does_not_serve(fetched: Settings) -> None:
    weights = fetched.bundles / "steps" / "1" / "bundle" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    with running(fetched) as url, httpx.Client(base_url=url, timeout=30) as client:
        eventually(lambda: "nothing of what served last" in client.get("/readyz").json()["reason"])
        assert client.get("/readyz").status_code == 503
        assert client.get("/livez").status_code == 200
        assert served(client, "steps") is None


def test_without_a_registry_or_a_database_nothing_is_made(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", port=0, tasks=("co2",), forecast_threads=1)
    with running(settings) as url, httpx.Client(base_url=url, timeout=30) as client:
        eventually(lambda: client.get("/readyz").json()["reason"] == "not loaded: co2")
        assert client.get("/v1/models").json()["models"][0]["state"] == "failed"
    assert not (tmp_path / "var" / "mlflow.db").exists()


@pytest.mark.parametrize(("failures", "least", "most"), [(0, 4, 6), (1, 4, 6), (3, 16, 24)])
def test_pauses_grow_with_failures_and_differ_between_replicas(
    failures: int, least: float, most: float
) -> None:
    pauses = [pause(5.0, failures) for _ in range(100)]
    assert least <= min(pauses) < max(pauses) <= most


def test_pauses_stay_bounded() -> None:
    assert pause(5.0, 10**6) <= 72
    assert pause(600.0, 10**6) <= 720


def test_a_service_is_ready_only_when_every_task_has_been_tried(tmp_path: Path) -> None:
    for version in ("1", "2"):
        write(tmp_path / "versions" / version, STEPS)

    async def main() -> list[tuple[bool, list[str]]]:
        shelf = Shelf(tmp_path / "versions")
        shelf.champions = {"a": "1", "b": "2"}
        shelf.down = RegistryDownError("not yet")
        slots = Slots()
        bundles = Bundles(tmp_path / "bundles", shelf, max_bytes=10**6, kept=2)
        watch = Watch(Settings(var=tmp_path), shelf, bundles, slots)
        seen: list[tuple[bool, list[str]]] = []

        def note() -> None:
            serving = [slot.task for slot in slots if slot.champion is not None]
            seen.append((watch.looked, serving))

        await watch.look()
        note()
        shelf.down = None
        looking = asyncio.create_task(watch.look())
        while not any(slot.champion for slot in slots):
            await asyncio.sleep(0.001)
        note()
        await looking
        note()
        await bundles.close()
        return seen

    assert asyncio.run(main()) == [(False, []), (False, ["a"]), (True, ["a", "b"])]


def test_what_served_last_serves_while_the_registry_lets_itself_be_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.watch._PATIENCE", 0.05)
    for version in ("1", "2"):
        write(tmp_path / "versions" / version, STEPS)

    async def main() -> None:
        shelf = Shelf(tmp_path / "versions")
        shelf.champions = {"a": "1"}
        bundles = Bundles(tmp_path / "bundles", shelf, max_bytes=10**6, kept=2)
        await Watch(Settings(var=tmp_path), shelf, bundles, Slots()).look()
        slots = Slots()
        again = Watch(Settings(var=tmp_path), shelf, bundles, slots)
        shelf.champions, shelf.held = {"a": "2"}, asyncio.Event()
        looking = asyncio.create_task(again.look())
        while not again.looked:
            await asyncio.sleep(0.001)
        [slot] = slots
        assert slot.champion is not None
        assert (slot.champion.version, slot.from_disk, again.answered) == ("1", True, False)
        shelf.held.set()
        await looking
        [slot] = slots
        assert slot.champion is not None
        assert (slot.champion.version, slot.from_disk, again.answered) == ("2", False, True)
        await bundles.close()

    asyncio.run(main())


def test_a_version_is_prepared_before_it_serves(tmp_path: Path) -> None:
    write(tmp_path / "versions" / "1", STEPS)

    async def main() -> list[bool]:
        shelf = Shelf(tmp_path / "versions")
        shelf.champions = {"a": "1"}
        slots, served = Slots(), []

        async def prepare(_: Loaded) -> None:
            served.append(any(slot.champion for slot in slots))

        bundles = Bundles(tmp_path / "bundles", shelf, max_bytes=10**6, kept=2)
        await Watch(Settings(var=tmp_path), shelf, bundles, slots, prepare).look()
        served.append(any(slot.champion for slot in slots))
        await bundles.close()
        return served

    assert asyncio.run(main()) == [False, True]
