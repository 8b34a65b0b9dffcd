"""Requests that bring observations of many streams: every stream's next steps, as NDJSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def requests(
    task: str, *, streams: int, steps: int, count: int, prefix: str = "s", query: str = ""
) -> Iterator[bytes]:
    """`count` POSTs as they go over the wire, each with the next `steps` hours of every stream.

    The lines of a request go hour by hour through all streams, as a gateway's do.
    """
    path = f"/v1/models/{task}/observations{query}"
    for number in range(count):
        hours = [_BEGIN + timedelta(hours=number * steps + step) for step in range(steps)]
        lines = [
            f'{{"unique_id":"{prefix}{stream}","ds":"{hour:%Y-%m-%dT%H:%M:%SZ}",'
            f'"y":{500 + 100 * (hour.hour / 24) + stream % 97:.2f}}}\n'
            for hour in hours
            for stream in range(streams)
        ]
        body = "".join(lines).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nhost: localhost\r\n"
            f"content-type: application/x-ndjson\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        yield head.encode() + body
