import asyncio
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from service.door import Door
from service.edge import Edge
from tests.service.conftest import counted

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/v1", "/v1/forecast/", "//v1/forecast", "/docs"]
)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_there_is_a_problem(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code in (404, 405)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "location" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_a_method_that_a_route_does_not_know_is_named(client: httpx.Client, method: str) -> None:
    answer = client.request(method, "/v1/forecast")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json()["title"] == "Method Not Allowed"


@pytest.mark.parametrize("path", ["/livez", "/v1/models", "/nothing"])
def test_every_answer_bears_its_headers(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["x-request-id"]
    assert "server" not in headers
    assert "access-control-allow-origin" not in headers


def test_a_request_id_is_kept_if_it_is_harmless(client: httpx.Client) -> None:
    def echoed(given: str) -> str:
        return client.get("/livez", headers={"x-request-id": given}).headers["x-request-id"]

    assert echoed("abc-1.2_3") == "abc-1.2_3"
    for harmful in ("a b", "a" * 65, "<x>", "-a"):
        assert echoed(harmful) not in (harmful, "")


def test_requests_without_an_id_get_different_ones(client: httpx.Client) -> None:
    assert len({client.get("/livez").headers["x-request-id"] for _ in range(10)}) == 10


def test_a_request_id_stands_on_errors_too(client: httpx.Client) -> None:
    answer = client.post("/v1/forecast", json=counted("nothing"), headers={"x-request-id": "e1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (404, "e1")


def test_a_route_that_fails_answers_500_without_a_word_of_why() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("the password is hunter2")

    status, headers, body = ask(Edge(failing, door=Door(9), trusted_hosts=()))
    assert status == 500
    assert headers[b"content-type"] == b"application/problem+json"
    assert body == b'{"type":"urn:gatecast:problem:internal-error",' + (
        b'"title":"Internal Server Error","status":500}'
    )


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (b"forecasts.example.org", 204),
        (b"forecasts.example.org:8000", 204),
        (b"FORECASTS.example.org", 204),
        (b"a.internal", 204),
        (b"[::1]:8000", 204),
        (b"internal", 400),
        (b"evil.example", 400),
        (b"forecasts.example.org.evil.example", 400),
        (b"evil.example/forecasts.example.org", 400),
        (b"", 400),
        (b"\xff", 400),
    ],
)
def test_only_trusted_hosts_are_answered(host: bytes, status: int) -> None:
    trusted = ("forecasts.example.org", "*.internal", "[::1]")
    edge = Edge(_empty, door=Door(9), trusted_hosts=trusted)
    assert ask(edge, [(b"host", host)])[0] == status


def test_two_hosts_are_no_host() -> None:
    edge = Edge(_empty, door=Door(9), trusted_hosts=("a.example",))
    headers = [(b"host", b"a.example"), (b"host", b"b.example")]
    assert ask(edge, headers)[0] == 400
    assert ask(edge, [])[0] == 400


def test_requests_beyond_the_limit_are_turned_away_except_probes() -> None:
    async def main() -> list[int]:
        release = asyncio.Event()

        async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
            await release.wait()
            await _empty(scope, receive, send)

        edge = Edge(waiting, door=Door(2), trusted_hosts=())
        paths = ["/v1/forecast", "/v1/forecast", "/v1/forecast", "/livez"]
        tasks = [asyncio.create_task(_ask(edge, [], path)) for path in paths]
        await asyncio.sleep(0.05)
        release.set()
        statuses = [answer[0] for answer in await asyncio.gather(*tasks)]
        statuses.append((await _ask(edge, [], "/v1/forecast"))[0])
        return statuses

    assert asyncio.run(main()) == [204, 204, 503, 204, 204]


def test_a_socket_is_held_to_the_same_hosts_and_the_same_number() -> None:
    async def accepting(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        assert door.inside == 0  # it may go on for as long as it likes

    door = Door(1)
    edge = Edge(accepting, door=door, trusted_hosts=("a.example",))

    def opened(host: bytes) -> Message:
        return asyncio.run(_opened(edge, [(b"host", host)]))

    accepted = opened(b"a.example")
    assert accepted["type"] == "websocket.accept"
    assert b"x-request-id" in dict(accepted["headers"])
    refused = opened(b"evil.example")
    assert (refused["type"], refused["status"]) == ("websocket.http.response.start", 400)
    door.inside = 1
    assert opened(b"a.example")["status"] == 503
    assert door.inside == 1


def test_while_the_door_closes_nothing_new_comes_in() -> None:
    door = Door(9)
    edge = Edge(_empty, door=door, trusted_hosts=())
    assert b"connection" not in ask(edge)[1]
    door.closing = True
    for path, status in (("/", 503), ("/readyz", 503), ("/livez", 204)):
        answered, headers, _ = asyncio.run(_ask(edge, [], path))
        assert (answered, headers[b"connection"]) == (status, b"close")
        assert (b"retry-after" in headers) == (status == 503)
    assert asyncio.run(_opened(edge, []))["status"] == 503


async def _opened(edge: Edge, headers: Any) -> Message:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    extensions: dict[str, Any] = {"websocket.http.response": {}}
    scope = {"type": "websocket", "path": "/", "headers": headers, "extensions": extensions}
    await edge(scope, receive, send)
    return sent[0]


async def _empty(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def ask(edge: Edge, headers: Any = ()) -> tuple[int, dict[bytes, bytes], bytes]:
    return asyncio.run(_ask(edge, headers, "/"))


async def _ask(edge: Edge, headers: Any, path: str) -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "path": path, "headers": list(headers)}
    await edge(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]
