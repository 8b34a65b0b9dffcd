"""Streams of a running service: opened, fed, and listened to over server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import pytest


class Told(NamedTuple):
    """One server-sent event. id: the last that was sent, with it or before it."""

    name: str
    id: int | None
    data: dict[str, Any]


def streams(url: str, task: str = "steps") -> str:
    """Where a task's streams are."""
    return f"{url}/v1/models/{task}/streams"


def opened(url: str, name: str, **options: Any) -> None:
    """Open a stream that is not there."""
    assert httpx.put(f"{url}/{name}", json=options).status_code == 201


def observe(url: str, name: str, *steps: int) -> list[dict[str, Any]]:
    """Give a stream observations that it takes, in one request."""
    body = {"observations": [{"ds": step, "y": step % 7 + 0.5} for step in steps]}
    answer = httpx.post(f"{url}/{name}/observations?forecast=true", json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    assert all(result["status"] == 200 for result in results), results
    return results


def told(response: httpx.Response) -> Iterator[Told]:
    """The events of an answer, as a browser reads them."""
    number: int | None = None
    name, data = "", ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "id":
            number = int(value)
        elif field == "data":
            data = value
        elif not line and data:
            yield Told(name, number, json.loads(data))
            name, data = "", ""


def heard(url: str, name: str, after: int, count: int) -> list[dict[str, Any]]:
    """The next forecasts after an id, each its id's; then the listener hangs up."""
    found: list[dict[str, Any]] = []
    headers = {"last-event-id": str(after)}
    with httpx.stream("GET", f"{url}/{name}/events", headers=headers, timeout=20) as response:
        assert response.status_code == 200, response.read()
        for event in told(response):
            if event.name == "forecast":
                assert event.data["position"] == event.id
                found.append(event.data)
            if len(found) == count:
                break
    return found


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two events are one, but for the last digits of a forecast."""
    left, right = dict(one["forecast"]), dict(other["forecast"])
    least = 1e-6 * max(map(abs, right["mean"]))  # what is replayed remembers to a millionth
    assert left.pop("mean") == pytest.approx(right.pop("mean"), rel=1e-5, abs=least)
    for quantile, values in left.pop("quantiles").items():
        assert values == pytest.approx(right["quantiles"][quantile], rel=1e-5, abs=least)
    assert left["ds"] == right["ds"]
    assert {**one, "forecast": None} == {**other, "forecast": None}


def hour(step: int) -> str:
    """A step as a time stamp, for a model of hours."""
    return (datetime(2000, 1, 1, tzinfo=UTC) + timedelta(hours=step)).isoformat()
