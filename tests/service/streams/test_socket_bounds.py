"""What a client of a socket may not do, and what comes of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from store.settings import Settings
from tests.service.registries import COUNTED, EmbeddedRegistry, spec
from tests.service.running import ready, running
from tests.service.streams.listening import observe, opened, streams
from tests.service.streams.sockets import client


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(
        var=tmp_path_factory.mktemp("sockets"), port=0, log_level="error", header_seconds=1.0
    )
    EmbeddedRegistry(settings).register("steps", spec(timeline=COUNTED))
    with running(settings) as base:
        ready(base)
        yield base


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "{}",
        "1",
        '{"credit":0}',
        '{"credit":1.5}',
        '{"credit":true}',
        '{"credit":1,"credit":2}',
        '{"credit":1,"observe":[]}',
        '{"observe":[]}',
        '{"observe":{}}',
        '{"observe":[1],"id":7}',
        '{"observe":[1],"id":"' + 65 * "x" + '"}',
        '{"subscribe":[]}',
        '{"subscribe":["a"]}',
        '{"subscribe":[{"unique_id":""}]}',
        '{"subscribe":[{"unique_id":"a\\u0000"}]}',
        '{"subscribe":[{"unique_id":"a","after":-1}]}',
        '{"subscribe":[{"unique_id":"a"}],"h":7}',
        '{"subscribe":[{"unique_id":"a"}],"level":[80],"quantiles":[0.5]}',
        '{"subscribe":[{"unique_id":"a"}],"quantiles":[NaN]}',
        '{"unsubscribe":"a"}',
        '{"nothing":1}',
        "[" * 5_000,
        '{"observe":[' + "[" * 3_000,
    ],
)
def test_a_message_that_says_nothing_is_answered_with_a_problem(base: str, text: str) -> None:
    with client(base) as it:
        it.connection.send(text)
        error = it.hear()["error"]
        assert error["status"] in (400, 413, 422)
        assert it.ask(unsubscribe=["a"]) == {"unsubscribed": []}


def test_a_client_that_talks_nonsense_is_left(base: str) -> None:
    with client(base) as it:
        for _ in range(8):
            it.connection.send("nonsense")
        assert it.closed() == 1008


@pytest.mark.parametrize(
    ("message", "code"),
    [(b"bytes", 1003), ("x" * (2**20 + 1), 1009), (["x"] * 2_000, 1009), (["", ""] * 600, 1009)],
)
def test_what_is_no_message_closes_the_socket(base: str, message: Any, code: int) -> None:
    with client(base) as it:
        with suppress(ConnectionClosed):
            it.connection.send(message)
        assert it.closed() == code


def test_text_that_is_no_text_closes_the_socket(base: str) -> None:
    with client(base) as it:
        it.connection.send(b"\xff\xfe", text=True)
        assert it.closed() == 1007


def test_a_flood_of_pings_closes_the_socket(base: str) -> None:
    with client(base) as it:
        with suppress(ConnectionClosed):
            for _ in range(1_000):
                it.connection.ping()
        assert it.closed() == 1008


def test_more_messages_than_a_second_may_bring_are_done_later(base: str) -> None:
    with client(base) as it:
        began = time.monotonic()
        for _ in range(400):
            it.say(unsubscribe=["a"])
        for _ in range(400):
            assert it.hear() == {"unsubscribed": []}
        assert 0.8 < time.monotonic() - began < 10


def test_a_page_of_another_site_is_refused(base: str) -> None:
    host = urlsplit(base).netloc
    for origin in (f"http://{host}", f"https://{host}"):
        with client(base, origin=origin) as it:
            assert it.ask(unsubscribe=["a"]) == {"unsubscribed": []}
    for origin in ("http://evil.example", "null", f"http://evil.{host}", "http://[", "é"):
        with pytest.raises(InvalidStatus) as error, client(base, origin=origin):
            pass
        assert error.value.response.status_code == 403
        assert b"foreign-origin" in error.value.response.body


def test_a_model_that_is_not_served_has_no_socket(base: str) -> None:
    with pytest.raises(InvalidStatus) as error, client(base, "nothing"):
        pass
    response = error.value.response
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x-request-id"]
    assert b"unknown-model" in response.body


def test_a_request_that_is_no_handshake_is_refused(base: str) -> None:
    path = f"{base}/v1/models/steps/stream"
    upgrade = {"connection": "upgrade", "upgrade": "websocket"}
    assert httpx.post(path, headers=upgrade).status_code == 400
    assert httpx.get(path, headers=upgrade).status_code in (400, 426)
    many = {f"x-{number}": "y" for number in range(200)}
    assert httpx.get(path, headers=upgrade | many).status_code == 400
    assert httpx.get(path).status_code in (404, 426)


@pytest.mark.slow
def test_the_deadlines_of_a_connection_end_with_its_handshake(base: str) -> None:
    url = streams(base)
    opened(url, "idle")
    with client(base) as it:
        it.subscribe("idle")
        time.sleep(8)  # the head's deadline here is 1 s, the body's 35
        observe(url, "idle", 0)
        assert it.events(1)[0]["position"] == 1
