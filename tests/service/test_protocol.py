"""Connections that are slow, silent, huge or no HTTP at all."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import orjson
import pytest

from store.settings import Settings
from tests.service.conftest import counted
from tests.service.running import running

BODY = orjson.dumps(counted())
HEAD = (
    b"POST /v1/forecast HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n" % len(BODY)
)


@pytest.fixture
def connection(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        yield connection


def answer(connection: socket.socket) -> tuple[bytes, float]:
    """All that comes until the server closes, and how long that took."""
    began = time.monotonic()
    received = b""
    try:
        while chunk := connection.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass
    return received, time.monotonic() - began


def trickle(connection: socket.socket, data: bytes, pause: float, seconds: float) -> None:
    """Send a byte at a time for as long as the server lets us."""
    end = time.monotonic() + seconds
    for byte in data:
        if time.monotonic() > end:
            return
        try:
            connection.sendall(bytes([byte]))
        except OSError:
            return
        time.sleep(pause)


def test_a_silent_connection_is_closed(connection: socket.socket) -> None:
    received, seconds = answer(connection)
    assert received.startswith(b"HTTP/1.1 408")
    assert b"application/problem+json" in received
    assert 0.5 < seconds < 5


def test_a_trickled_head_meets_its_deadline(connection: socket.socket) -> None:
    trickle(connection, b"GET /livez HTTP/1.1\r\nx: " + b"a" * 1000, 0.1, 4)
    received, seconds = answer(connection)
    assert received.startswith(b"HTTP/1.1 408")
    assert seconds < 1


def test_blank_lines_do_not_keep_a_connection_alive(connection: socket.socket) -> None:
    connection.sendall(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n")
    trickle(connection, b"\r\n" * 100, 0.1, 6)
    received, seconds = answer(connection)
    assert received.startswith(b"HTTP/1.1 200")
    assert seconds < 1


def test_a_trickled_body_meets_its_deadline(connection: socket.socket) -> None:
    connection.sendall(HEAD)
    trickle(connection, BODY, 0.1, 4)
    received, seconds = answer(connection)
    assert received.startswith(b"HTTP/1.1 408")
    assert b"connection: close" in received
    assert b"slow-body" in received
    assert seconds < 1


def test_a_body_that_no_route_reads_does_not_hold_the_connection(
    connection: socket.socket,
) -> None:
    connection.sendall(b"POST /nothing HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n")
    trickle(connection, b" " * 1000, 0.1, 9)
    received, seconds = answer(connection)
    assert received.startswith(b"HTTP/1.1 404")
    assert seconds < 1


def test_a_head_without_end_is_refused(connection: socket.socket) -> None:
    connection.sendall(b"GET /livez HTTP/1.1\r\n")
    try:
        for i in range(2000):
            connection.sendall(b"x-%d: %s\r\n" % (i, b"a" * 100))
    except OSError:
        pass
    received, seconds = answer(connection)
    assert received[:12] in (b"HTTP/1.1 431", b"")
    assert seconds < 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HELLO\r\n\r\n",
        b"GET  HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET http://[::bad/ HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
)
def test_what_is_no_http_gets_a_problem(connection: socket.socket, garbage: bytes) -> None:
    connection.sendall(garbage)
    received, _ = answer(connection)
    assert received.startswith(b"HTTP/1.1 4")
    assert b"application/problem+json" in received


def test_requests_sent_at_once_are_answered_in_order(connection: socket.socket) -> None:
    connection.sendall((HEAD + BODY) * 3 + b"GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n")
    received, _ = answer(connection)
    assert received.count(b"HTTP/1.1 200") == 4
    assert received.endswith(b'{"status":"alive"}')


def test_chunked_bodies_are_bounded_while_they_arrive(connection: socket.socket) -> None:
    connection.sendall(
        b"POST /v1/forecast HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
    )
    try:
        for _ in range(300):
            connection.sendall(b"1000\r\n" + b" " * 0x1000 + b"\r\n")
    except OSError:
        pass
    received, _ = answer(connection)
    assert received[:12] in (b"HTTP/1.1 413", b"")


def test_a_client_may_wait_for_leave_to_send(connection: socket.socket) -> None:
    connection.sendall(HEAD.replace(b"host: x", b"host: x\r\nexpect: 100-continue"))
    assert connection.recv(100).startswith(b"HTTP/1.1 100")
    connection.sendall(BODY)
    assert connection.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.slow
def test_a_client_that_reads_nothing_is_not_waited_for(url: str, client: httpx.Client) -> None:
    series = [{"unique_id": str(i), "y": [1.0, 2.0]} for i in range(50)]
    levels = [q / 100 for q in range(10, 70)]
    body = orjson.dumps({"model": "steps", "quantiles": levels, "series": series})
    head = HEAD.replace(b"%d" % len(BODY), b"%d" % len(body))
    parts = urlsplit(url)
    asked = 60
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect((parts.hostname, parts.port))
        connection.sendall((head + body) * asked)
        time.sleep(9)
        received, _ = answer(connection)
    assert 0 < received.count(b"HTTP/1.1 200") < asked
    assert client.get("/livez").status_code == 200


@pytest.mark.slow
def test_connections_beyond_the_limit_are_refused(settings: Settings, tmp_path: Path) -> None:
    few = settings.model_copy(
        update={
            "var": tmp_path,
            "max_connections": 2,
            "tracking_uri": f"sqlite:///{tmp_path}/none.db",
            "registry_uri": f"sqlite:///{tmp_path}/none.db",
        }
    )
    with running(few) as url:
        parts = urlsplit(url)
        taken = [socket.create_connection((parts.hostname, parts.port)) for _ in range(2)]
        time.sleep(0.1)
        with socket.create_connection((parts.hostname, parts.port), timeout=5) as third:
            received, _ = answer(third)
        assert received.startswith(b"HTTP/1.1 503")
        assert b"application/problem+json" in received
        for each in taken:
            each.close()
        time.sleep(0.1)
        assert httpx.get(f"{url}/livez").status_code == 200


def test_after_all_that_the_service_is_well(client: httpx.Client) -> None:
    assert client.post("/v1/forecast", json=counted()).status_code == 200
