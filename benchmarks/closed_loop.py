"""A client that asks again as soon as it is answered, over so many connections at once.

Written on bare sockets: a client library costs more than the servers that it would measure.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """What came back. latencies: (n,) seconds, ascending; seconds: of the whole."""

    latencies: tuple[float, ...]
    seconds: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def latency(self, share: float) -> float:
        """The latency that `share` of the requests did not exceed, in seconds."""
        return self.latencies[min(int(share * len(self.latencies)), len(self.latencies) - 1)]


def run(
    port: int, path: str, body: bytes, *, connections: int, seconds: float, least: int = 1
) -> Load:
    """POST `body` for `seconds`, and until `least` answers came. Raises RuntimeError unless 200."""
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    return asyncio.run(_run(port, request, connections, seconds, least))


async def _run(port: int, request: bytes, connections: int, seconds: float, least: int) -> Load:
    latencies: list[float] = []
    began = time.perf_counter()

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < began + seconds or len(latencies) < least:
            asked = time.perf_counter()
            writer.write(request)
            await _answer(reader)
            latencies.append(time.perf_counter() - asked)
        writer.close()

    await asyncio.gather(*(ask() for _ in range(connections)))
    return Load(tuple(sorted(latencies)), time.perf_counter() - began)


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    body = await reader.readexactly(int(length))
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(f"{head.splitlines()[0].decode()}: {body[:300]!r}")
