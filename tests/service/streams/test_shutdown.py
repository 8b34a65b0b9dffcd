"""A service that is told to end: nobody who was answered is cut off, and nothing is replayed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from store.checkpoints import newest_checkpoints
from store.database import open_database
from store.log import tails
from store.streams import find_streams
from tests.faults.clusters import cluster
from tests.faults.serving import Service, served_once
from tests.service.held_back import HeldBack
from tests.service.running import eventually
from tests.service.streams.listening import Told, hour, streams, told

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TASK = "load"
NAMES = [f"s{place}" for place in range(8)]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return served_once(tmp_path_factory.mktemp("served"))


@pytest.fixture
def service(tmp_path: Path, bundles: Path) -> Iterator[Service]:
    service = Service(tmp_path / "var", bundles)
    service.start()
    yield service
    if service.alive:
        service.kill()


class Sender:
    """Observes one stream over one connection until it is told, or finds, that this is over.

    taken: observations that were answered 200. last: the answer that was none.
    """

    def __init__(self, url: str, name: str) -> None:
        self.taken = 0
        self.last: httpx.Response | None = None
        self._place = f"{url}/{name}"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while True:
                body = {"ds": hour(self.taken), "y": 100.0 + self.taken % 24}
                try:
                    answer = client.post(f"{self._place}/observations?forecast=true", json=body)
                except httpx.TransportError:
                    return
                if answer.status_code != 200:
                    self.last = answer
                    return
                self.taken += 1


@contextmanager
def listening(url: str) -> Iterator[list[Told]]:
    """The events of the first stream; when the block ends they have ended."""
    events: list[Told] = []

    def listen() -> None:
        with httpx.stream("GET", f"{url}/{NAMES[0]}/events", timeout=30) as response:
            for event in told(response):
                events.append(event)  # noqa: PERF402 - one by one, as they come

    thread = threading.Thread(target=listen)
    thread.start()
    eventually(lambda: events)
    yield events
    thread.join(30)
    assert not thread.is_alive()


def test_under_load_nothing_is_lost_and_nothing_is_left_to_replay(
    service: Service, tmp_path: Path
) -> None:
    url = streams(service.url, TASK)
    for name in NAMES:
        assert httpx.put(f"{url}/{name}").status_code == 201
    place = service.url.replace("http://", "ws://") + f"/v1/models/{TASK}/stream"
    with listening(url) as events, connect(place, proxy=None) as socket:
        socket.send(json.dumps({"subscribe": [{"unique_id": NAMES[1]}]}))
        assert "subscribed" in json.loads(socket.recv(timeout=20))
        senders = [Sender(url, name) for name in NAMES]
        eventually(lambda: all(sender.taken > 20 for sender in senders))
        began = time.monotonic()
        service.process.terminate()
        with suppress(ConnectionClosed):
            while True:
                socket.recv(timeout=30)
        assert socket.close_code == 1012
        for sender in senders:
            sender.join()
    service.process.join(30)
    assert service.process.exitcode == 0, service.log.read_text()
    assert time.monotonic() - began < 15
    for sender in senders:
        assert sender.last is not None, "no answer, though there was a connection"
        assert sender.last.status_code == 503
        assert sender.last.headers["retry-after"]
        assert sender.last.json()["type"].endswith(":stopping")
    assert [event.name for event in events] == ["open"] + ["forecast"] * (len(events) - 1)
    assert [event.id for event in events[1:]] == list(range(1, len(events)))

    database = open_database(f"sqlite:///{tmp_path}/var/gatecast.db")
    with database.reading() as connection:
        found = find_streams(connection, [(TASK, name) for name in NAMES])
        ends = tails(connection, [stream.id for stream in found.values()])
        weights = connection.exec_driver_sql("SELECT max(weights) FROM checkpoints").scalar_one()
        kept = newest_checkpoints(connection, list(ends), weights)
    database.close()
    for name, sender in zip(NAMES, senders, strict=True):
        stream = found[TASK, name].id
        assert ends[stream].seq == sender.taken
        assert kept[stream].seq == sender.taken

    service.start()
    for name, sender in zip(NAMES, senders, strict=True):
        assert httpx.get(f"{url}/{name}").json()["observations"] == sender.taken
    service.stop()


def test_what_is_in_work_is_finished_while_new_work_is_refused(service: Service) -> None:
    url = streams(service.url, TASK)
    assert httpx.put(f"{url}/a").status_code == 201
    rows = [{"unique_id": "a", "ds": hour(step), "y": 1.0 + step % 24} for step in range(1_000)]
    body = json.dumps({"observations": rows}).encode()
    place = f"{service.url}/v1/models/{TASK}/observations?forecast=true"
    working = HeldBack(place, body)
    service.process.terminate()
    eventually(lambda: httpx.get(f"{service.url}/readyz").status_code == 503)
    for path in (f"{url}/a", f"{service.url}/readyz", f"{url}/a/events"):
        refused = httpx.get(path, timeout=10)
        assert refused.status_code == 503, path
        assert refused.headers["retry-after"]
        assert refused.headers["connection"] == "close"
    status, answer = working.send()
    service.process.join(30)
    assert service.process.exitcode == 0
    assert status == 200
    assert all(result["status"] == 200 for result in json.loads(answer)["results"])


def test_a_listener_is_told_when_to_come_back(service: Service) -> None:
    url = streams(service.url, TASK)
    assert httpx.put(f"{url}/a").status_code == 201
    with httpx.stream("GET", f"{url}/a/events", timeout=30) as response:
        lines = response.iter_lines()
        assert next(lines) == "id: 0"
        service.process.terminate()
        said = list(lines)  # to the end of the answer, without an error
    assert said[-1] == ""
    assert said[-2].startswith("retry: ")
    service.process.join(30)
    assert service.process.exitcode == 0


def test_a_store_that_stands_still_does_not_keep_the_service_from_ending(
    tmp_path: Path, bundles: Path
) -> None:
    with cluster() as own:
        settings = {"GATECAST_DATABASE_URL": own.url, "GATECAST_DRAIN_SECONDS": "2"}
        service = Service(tmp_path / "var", bundles, **settings)
        service.start()
        url = streams(service.url, TASK)
        assert httpx.put(f"{url}/a").status_code == 201
        observed = {"ds": hour(0), "y": 1.0}
        assert httpx.post(f"{url}/a/observations", json=observed).status_code == 200
        with own.frozen():
            service.process.terminate()
            service.process.join(15)
            assert service.process.exitcode == 1
        service.start()
        assert httpx.get(f"{url}/a").json()["observations"] == 1
        service.stop()


def test_a_service_that_is_told_twice_ends_once(service: Service) -> None:
    service.process.terminate()
    service.process.terminate()
    service.process.join(30)
    assert service.process.exitcode == 0
