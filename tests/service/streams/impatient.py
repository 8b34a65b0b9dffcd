"""A client of one stream that hangs up, or gives the service no time, as often as it waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson

KINDS = ("wait", "wait", "wait", "hang up", "hang up", "hang up", "no time", "read", "read not")


@dataclass
class Client:
    """Sends one observation after the other, each with a value that no other stream has.

    sent: by step, how many requests had it. kept: the steps that were answered 200. refused: by
    step, how many requests were answered that nothing was changed. statuses: of all answers.
    """

    port: int
    number: int
    random: Random
    sent: dict[int, int] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    refused: dict[int, int] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    step: int = 0
    _open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def name(self) -> str:
        """The stream's."""
        return f"s{self.number}"

    def value(self, step: int) -> float:
        """What only this stream has at a step."""
        return 1_000.0 * (self.number + 1) + step * 7 % 24

    async def run(self, requests: int) -> None:
        """That many requests, and then hang up."""
        for _ in range(requests):
            await self.request(self.random.choice(KINDS))
        self.hang_up()

    async def request(self, kind: str) -> None:
        """One request, of which the answer may not be waited for."""
        if kind.startswith("read"):
            path = "forecast" if self.random.random() < 0.8 else "snapshot"
            await self.send("GET", path, None)
            await self.leave() if kind == "read not" else await self.answer()
            return
        if self.step not in self.sent or self.random.random() < 0.7:  # else the same again
            self.step += self.random.choice((1, 1, 1, 1, 2))
        query = f"?forecast={self.random.choice(('true', 'false'))}"
        if kind == "no time":
            query += f"&timeout={self.random.choice((1e-9, 1e-4, 1e-3, 3e-3))}"
        self.sent[self.step] = self.sent.get(self.step, 0) + 1
        said = {"ds": self.step, "y": self.value(self.step)}
        cut = kind == "hang up" and self.random.random() < 0.2
        await self.send("POST", f"observations{query}", said, cut=cut)
        if kind == "hang up":
            await self.leave()
            return
        status, body = await self.answer()
        if status == 200:
            assert body["unique_id"] == self.name
            assert body["ds"] == self.step
            self.kept.add(self.step)
            return
        problem = body["type"].rpartition(":")[2]
        if problem == "unanswered":  # on a slow disk: begun in time and not ended, kept or not
            assert status == 503
            return
        # not begun in time, or another that was hung up on came after it
        assert problem == {503: "deadline", 409: "late-observation"}[status], body
        self.refused[self.step] = self.refused.get(self.step, 0) + 1

    async def send(self, method: str, path: str, said: Any, *, cut: bool = False) -> None:
        """Send a request, or the first part of one."""
        if self._open is None:
            self._open = await asyncio.open_connection("127.0.0.1", self.port)
        body = b"" if said is None else orjson.dumps(said)
        kind = b"content-type: application/json\r\n" if body else b""
        text = (
            f"{method} /v1/models/load/streams/{self.name}/{path} HTTP/1.1\r\nhost: here\r\n"
            f"content-length: {len(body)}\r\n"
        ).encode()
        text += kind + b"\r\n" + body
        if cut:
            text = text[: self.random.randrange(1, len(text))]
        self._open[1].write(text)

    async def leave(self) -> None:
        """Hang up, at once or in a while."""
        await asyncio.sleep(self.random.choice((0, 0, 0.0005, 0.002, 0.005)))
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection, half of the time without a farewell."""
        if self._open is not None:
            writer = self._open[1]
            self._open = None
            writer.transport.abort() if self.random.random() < 0.5 else writer.close()

    async def answer(self) -> tuple[int, Any]:
        """The status and the body of the answer."""
        assert self._open is not None
        reader = self._open[0]
        async with asyncio.timeout(30):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            body = orjson.loads(await reader.readexactly(length))
        status = int(head.split(" ", 2)[1])
        self.statuses.append(status)
        if "connection: close" in head:
            self.hang_up()
        return status, body


async def all_at_once(port: int, streams: int, requests: int, seed: int) -> Sequence[Client]:
    """Clients of as many streams, each of which makes its requests."""
    clients = [
        Client(port, number, Random(f"{seed} {number}"))  # noqa: S311
        for number in range(streams)
    ]
    with contextlib.ExitStack() as stack:
        for client in clients:
            stack.callback(client.hang_up)
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.run(requests))
    return clients
