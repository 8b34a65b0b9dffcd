"""The registry's client: a process that answers, or is ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from service.registry import Registry, RegistryDownError, VersionMissingError
from service.registry_process import Catalogue, RefusedError, allowed
from store.conventions import SCORES_TAG
from store.settings import Settings
from tests.service.registries import EmbeddedRegistry

T = TypeVar("T")


class Asked:
    """A registry's client on an event loop of its own, for as many tests as like."""

    def __init__(self, settings: Settings) -> None:
        self.loop = asyncio.new_event_loop()
        self.registry = Registry(settings)

    def __call__(self, question: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(question, 60))


@contextlib.contextmanager
def asking(settings: Settings) -> Iterator[Asked]:
    asked = Asked(settings)
    try:
        yield asked
    finally:
        asked(asked.registry.close())
        asked.loop.close()


@pytest.fixture(scope="module")
def ask(settings: Settings, registry: EmbeddedRegistry) -> Iterator[Asked]:
    with asking(settings) as asked:
        yield asked


def test_tasks_are_found_by_their_tag_or_their_names(ask: Asked) -> None:
    assert {"load", "steps"} <= {task.task for task in ask(ask.registry.tasks())}
    [named] = ask(ask.registry.tasks(["steps", "nothing"]))
    assert named.task == "steps"
    assert named.aliases == {"champion": "1"}
    assert named.champion is not None
    assert named.champion.version == "1"


def test_versions_come_with_their_aliases_and_tags(ask: Asked) -> None:
    [version] = ask(ask.registry.versions("steps"))
    assert (version.version, version.aliases) == ("1", ("champion",))
    assert version.tags[SCORES_TAG] == '{"mase":0.5}'
    assert ask(ask.registry.version("steps", "1")).source == version.source


def test_the_bundle_is_fetched_and_nothing_else(ask: Asked, tmp_path: Path) -> None:
    facts = ask(ask.registry.fetch("steps", "1", tmp_path))
    assert facts == ask(ask.registry.version("steps", "1"))
    names = {file.name for file in tmp_path.iterdir()}
    assert names == {"manifest.json", "manifest.sha256", "weights.safetensors"}


def test_what_is_not_there_is_missing(ask: Asked, tmp_path: Path) -> None:
    for question in (
        ask.registry.version("steps", "99"),
        ask.registry.versions("nothing"),
        ask.registry.fetch("steps", "99", tmp_path),
    ):
        with pytest.raises(VersionMissingError):
            ask(question)


def test_a_client_process_that_dies_is_replaced(ask: Asked) -> None:
    ask(ask.registry.tasks(["steps"]))
    first = ask.registry._process
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    ask(asyncio.sleep(0.1))
    assert len(ask(ask.registry.tasks(["steps"]))) == 1
    assert ask.registry._process is not first


@pytest.fixture
def silent(settings: Settings) -> Iterator[Settings]:
    """Settings whose registry takes connections and says nothing, a byte at a time."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        taken: list[socket.socket] = []

        def accept() -> None:
            while not stop.wait(0.05):
                with contextlib.suppress(OSError):
                    taken.append(server.accept()[0])
                    taken[-1].sendall(b"HTTP/1.1 200 OK\r\n")
                for each in taken:
                    with contextlib.suppress(OSError):
                        each.sendall(b"x")

        thread = threading.Thread(target=accept)
        thread.start()
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        yield settings.model_copy(
            update={"tracking_uri": uri, "registry_uri": uri, "registry_seconds": 1.5}
        )
        stop.set()
        thread.join()
        for each in taken:
            each.close()


def test_a_registry_that_trickles_meets_a_deadline(silent: Settings) -> None:
    with asking(silent) as ask:
        with pytest.raises(RegistryDownError):
            ask(ask.registry.tasks())
        process = ask.registry._process
        assert process is not None
        ask(process.wait())  # it was ended: nothing else would end it


def test_a_bundle_larger_than_allowed_is_not_fetched(
    settings: Settings, registry: EmbeddedRegistry, tmp_path: Path
) -> None:
    catalogue = Catalogue(
        {
            "tracking_uri": settings.tracking_uri,
            "registry_uri": settings.registry_uri,
            "artifact_sources": [],
            "max_bundle_bytes": 5_000,
        }
    )
    with pytest.raises(RefusedError, match="too large"):
        catalogue.fetch("steps", "1", str(tmp_path))
    assert list(tmp_path.iterdir()) == []


LOCAL = "sqlite:////srv/var/mlflow.db"
SERVER = "http://mlflow:5000"


@pytest.mark.parametrize(
    ("location", "registry", "sources", "expected"),
    [
        ("/srv/var/mlartifacts/1/models/m-1/artifacts", LOCAL, [], True),
        ("file:///srv/var/mlartifacts/1/artifacts", LOCAL, [], True),
        ("file:///srv/var/mlartifacts/1/artifacts", SERVER, [], False),
        ("file:///shared/1/artifacts", SERVER, ["file:///shared"], True),
        ("file:///shared-not/1/artifacts", SERVER, ["file:///shared"], False),
        ("file:///shared/../etc", SERVER, ["file:///shared"], False),
        ("file:///shared/%2e%2e/etc", SERVER, ["file:///shared"], False),
        ("file://host/share", LOCAL, [], False),
        ("mlflow-artifacts:/1/models/m-1/artifacts", SERVER, [], True),
        ("mlflow-artifacts:/1/models/m-1/artifacts", LOCAL, [], False),
        ("mlflow-artifacts://evil.example/1/artifacts", SERVER, [], False),
        ("mlflow-artifacts:/1/../../etc", SERVER, [], False),
        ("http://169.254.169.254/latest", SERVER, [], False),
        ("http://mlflow:5000/x", SERVER, [], False),
        ("s3://models/gatecast/1", SERVER, ["s3://models/gatecast/"], True),
        ("s3://models/gatecast/1?versionId=2", SERVER, ["s3://models/gatecast"], False),
        ("s3://models/other/1", SERVER, ["s3://models/gatecast"], False),
        ("runs:/abc/model", SERVER, [], False),
        ("models:/m-1", SERVER, [], False),
        ("ftp://host/x", LOCAL, [], False),
        ("", SERVER, [], False),
    ],
)
def test_bundles_come_from_allowed_sources_only(
    location: str, registry: str, sources: list[str], expected: bool
) -> None:
    assert allowed(location, sources, registry, registry) is expected
