"""Readers that stop reading: what they cost a service while tens of thousands of events pass."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from store.settings import Settings
from tests.faults.serving import Service, served_once
from tests.service.registries import COUNTED, EmbeddedRegistry, spec
from tests.service.running import ready, running
from tests.service.streams.listening import heard, hour, observe, opened, streams
from tests.service.streams.sockets import HANDSHAKE, masked

EVENTS = 20_000
_MIB = 2**20
MUCH = "quantiles=" + ",".join(f"0.{place}" for place in range(11, 90))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(
        tmp_path / "var", served_once(tmp_path / "served"), GATECAST_BODY_SECONDS="600"
    )
    service.start()
    yield service
    service.stop()


def connected(url: str, head: str) -> socket.socket:
    """A connection that asks for something, and then does not read."""
    parts = urlsplit(url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((parts.hostname, parts.port))
    connection.sendall(head.replace("HOST", parts.netloc).encode())
    return connection


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_readers_that_stop_reading_cost_little_memory(service: Service) -> None:
    url = streams(service.url, "load")
    assert httpx.put(f"{url}/a").status_code == 201
    process = psutil.Process(service.pid)

    def feed(first: int, count: int) -> None:
        rows = [{"ds": hour(step), "y": 100.0 + step % 24} for step in range(first, first + count)]
        answer = httpx.post(f"{url}/a/observations", json={"observations": rows}, timeout=60)
        assert answer.status_code == 200

    with ExitStack() as stack:
        for _ in range(4):
            events = f"GET {urlsplit(url).path}/a/events HTTP/1.1\r\nhost: HOST\r\n\r\n"
            stack.enter_context(connected(url, events))
        for wanted in ({}, {}, {"after": 0}, {"after": 0}):
            one = connected(url, HANDSHAKE.replace("MODEL", "load"))
            stack.enter_context(one)
            messages: list[dict[str, Any]] = [
                {"subscribe": [{"unique_id": "a"} | wanted]},
                {"credit": 1_000_000},
            ]
            assert one.recv(4096).startswith(b"HTTP/1.1 101")
            for message in messages:
                one.sendall(masked(json.dumps(message).encode()))
        feed(0, 400)
        feed(400, 400)
        before = process.memory_info().rss
        most = before
        for first in range(800, 800 + EVENTS, 400):
            feed(first, 400)
            most = max(most, process.memory_info().rss)
    assert most - before < 48 * _MIB, f"{(most - before) / _MIB:.1f} MiB more"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_reader_that_stops_reading_is_cut_off(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path, port=0, log_level="error", body_seconds=1.0)
    EmbeddedRegistry(settings).register("steps", spec(timeline=COUNTED))
    with running(settings) as base:
        ready(base)
        opened(streams(base), "a")
        parts = urlsplit(f"{streams(base)}/a/events?{MUCH}")
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(20)
            connection.connect((parts.hostname, parts.port))
            connection.sendall(
                f"GET {parts.path}?{parts.query} HTTP/1.1\r\nhost: x\r\n\r\n".encode()
            )
            step = feed_until(lambda: not is_held(parts.port, connection), streams(base))
            assert not is_held(parts.port, connection)
            received = b""
            with contextlib.suppress(ConnectionResetError):
                while chunk := connection.recv(65_536):
                    received += chunk
        assert received.startswith(b"HTTP/1.1 200")
        assert heard(streams(base), "a", step - 1, 1)[0]["position"] == step


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("after", [None, 0])
def test_a_client_that_stops_reading_is_cut_off(tmp_path: Path, after: int | None) -> None:
    settings = Settings(var=tmp_path, port=0, log_level="error", body_seconds=1.0)
    EmbeddedRegistry(settings).register("steps", spec(timeline=COUNTED))
    with running(settings) as base:
        ready(base)
        opened(streams(base), "a")
        parts = urlsplit(base)
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(20)
            connection.connect((parts.hostname, parts.port))
            head = HANDSHAKE.replace("MODEL", "steps").replace("HOST", parts.netloc)
            connection.sendall(head.encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 101")
            numbers = [float(each) for each in MUCH.partition("=")[2].split(",")]
            wanted = {"unique_id": "a"} | ({} if after is None else {"after": after})
            said = {"subscribe": [wanted], "quantiles": numbers}
            for message in (said, {"credit": 1_000_000}):
                connection.sendall(masked(json.dumps(message).encode()))
            feed_until(lambda: not is_held(parts.port, connection), streams(base))
            assert not is_held(parts.port, connection)


def feed_until(done: Callable[[], bool], url: str) -> int:
    """Observe until something holds, for a minute at most; how much was observed."""
    began, step = time.monotonic(), 0
    while not done() and time.monotonic() - began < 60:
        observe(url, "a", *range(step, step + 200))
        step += 200
    return step


def is_held(port: int | None, connection: socket.socket) -> bool:
    """Whether the service, which is in this process, has its end of a connection.

    Looked at three times: a table of the kernel may show too little while it changes.
    """
    ends = (port, connection.getsockname()[1])
    return any(
        each.raddr and (each.laddr.port, each.raddr.port) == ends
        for _ in range(3)
        for each in psutil.Process().net_connections("tcp")
        if each.status == "ESTABLISHED"
    )
