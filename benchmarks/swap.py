"""A change of version under load: what it costs those who ask meanwhile.

    python -m benchmarks swap

takes about two minutes and trains nothing: the versions (GRU, two layers of 96, a window of 168, 48
steps ahead, 11 quantiles, a calendar) are as their seeds made them. Clients keep to a pace, so that
they are slowed by the swap and not by each other. What counts as during a swap is every request
that was under way between the alias's move and the first answer of the new version on every stream.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx
import numpy as np
import orjson
import torch
from numpy.typing import NDArray

from benchmarks import post_load, servers
from benchmarks.http import reference
from models.bundle import read_bundle
from models.context import Context
from models.forecaster import Forecaster
from models.manifest import Manifest
from models.predict import predict, replayed
from models.spec import Spec
from models.timeline import Timeline
from models.transform import to_network
from store.conventions import CHAMPION
from store.settings import Settings
from tests.service.registries import EmbeddedRegistry

_TASK = "bench"
_CONNECTIONS, _STREAMS, _ASKERS = 8, 64, 2
_STREAM_PACE, _BATCH_PACE = 0.1, 0.25  # seconds between two requests of a connection
_HISTORY, _MOVES, _REST, _QUIET = 1_500, 4, 2.0, 15.0
_POLL = 0.5
_BEGIN = np.datetime64("2026-01-01T00:00:00")


def main() -> None:
    """Print a line a measurement."""
    torch.set_num_threads(1)  # idle ones would spin
    pasts = [_past(seed) for seed in range(2)]
    with tempfile.TemporaryDirectory() as scratch:
        settings = Settings(var=Path(scratch))
        registry = EmbeddedRegistry(settings)
        for seed in range(_MOVES + 1):
            registry.register(_TASK, _spec(), seed=seed, champion=seed == 0, memory=pasts)
        with servers.gatecast(settings.var, GATECAST_POLL_SECONDS=str(_POLL)) as server:
            _open(server.port)
            asyncio.run(_measured(server.port, registry))
        _replays([read_bundle(each)[:2] for each in settings.bundles.glob("*/*/bundle")])


def _spec() -> Spec:
    return reference("gru", Timeline(kind="time", freq="h"), ("hour_of_day", "day_of_week"))


def _values(seed: int, length: int) -> NDArray[np.float64]:
    random, steps = np.random.default_rng(seed), np.arange(length)
    wave = 100 * np.sin(steps * 2 * np.pi / 24) + 30 * np.sin(steps * 2 * np.pi / 168)
    y: NDArray[np.float64] = np.round(500 + wave + 10 * random.standard_normal(length), 2)
    return y


def _past(seed: int, length: int = _HISTORY) -> Context:
    spec = _spec()
    clock = spec.timeline.at(np.array([_BEGIN.astype("datetime64[us]")]), np.arange(length))
    exog = spec.timeline.calendar(clock, spec.calendar)
    return Context(
        _values(seed, length),
        exog,
        np.zeros((spec.horizon, 0), np.float32),
        np.zeros(0, np.float32),
    )


def _replays(versions: Sequence[tuple[Forecaster, Manifest]]) -> None:
    """How far a bounded replay is from the exact one, on other series than set the bound."""
    apart: list[float] = []
    steps: list[int] = []
    for forecaster, manifest in versions:
        bound = None if manifest.memory is None else manifest.memory.steps_to(1e-3)
        if bound is None:
            continue
        steps.append(bound)
        whole = [_past(100 + seed) for seed in range(4)]
        part = [Context(p.y[-bound:], p.exog[-bound:], p.futr, p.stat) for p in whole]
        scale = forecaster.encoder.scaled(replayed(forecaster, whole).ring).scale[:, 0].numpy()
        short, long = (
            to_network(torch.from_numpy(predict(forecaster, each)), _spec()).numpy()
            for each in (part, whole)
        )
        distance = np.abs(short - long).max(axis=(1, 2))
        apart += (distance / scale).tolist()
    if not apart:
        print("no version's memory is bounded at this length: every replay is exact")
        return
    print(
        f"a replay of {min(steps)} to {max(steps)} of {_HISTORY} steps, against all of them:"
        f" {median(apart):.1e} scales of the window apart, {max(apart):.1e} at worst"
        f" ({len(apart)} forecasts)"
    )


@dataclass(slots=True)
class _Seen:
    """Requests: when each was asked and answered (seconds), and by which version."""

    asked: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    version: list[bytes] = field(default_factory=list)

    def milliseconds(self, begin: float, end: float) -> NDArray[np.float64]:
        """Of every request that was under way at any time between the two."""
        asked, answered = np.array(self.asked), np.array(self.answered)
        during = (asked < end) & (answered > begin)
        taken: NDArray[np.float64] = 1000 * (answered - asked)[during]
        return taken


async def _measured(port: int, registry: EmbeddedRegistry) -> None:
    streams = [_Seen() for _ in range(_CONNECTIONS)]
    batches = [_Seen() for _ in range(_ASKERS)]
    working = [
        *(
            asyncio.create_task(_ask(port, seen, _feed(number), _STREAM_PACE))
            for number, seen in enumerate(streams)
        ),
        *(asyncio.create_task(_ask(port, seen, _batch(), _BATCH_PACE)) for seen in batches),
    ]
    await asyncio.sleep(3)
    began = time.monotonic()
    await asyncio.sleep(_QUIET)
    quiet = (began, time.monotonic())
    swaps: list[tuple[float, float]] = []
    for version in range(2, _MOVES + 2):
        begin = time.monotonic()
        await asyncio.to_thread(registry.alias, _TASK, CHAMPION, str(version))
        named = str(version).encode()
        # each connection goes round its streams: a whole round of the new version is all of them
        each = _STREAMS // _CONNECTIONS
        while not all(seen.version[-each:] == [named] * each for seen in streams):
            await asyncio.sleep(0.02)
            if failed := [task for task in working if task.done()]:
                failed[0].result()
        swaps.append((begin, time.monotonic()))
        await asyncio.sleep(_REST)
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)
    for label, seen in (("an observation with its forecast", streams), ("a batch", batches)):
        before = np.concatenate([one.milliseconds(*quiet) for one in seen])
        during = np.concatenate([one.milliseconds(*swap) for one in seen for swap in swaps])
        p = [np.quantile(each, (0.5, 0.99, 1.0)) for each in (before, during)]
        print(
            f"{label}: quiet {p[0][0]:.1f} ms, p99 {p[0][1]:.1f}, most {p[0][2]:.1f}"
            f" ({len(before)} requests); during a swap {p[1][0]:.1f} ms, p99 {p[1][1]:.1f},"
            f" most {p[1][2]:.1f} ({len(during)}); p99 {p[1][1] / p[0][1]:.2f} x"
        )
    took = [end - begin for begin, end in swaps]
    print(
        f"{_MOVES} swaps, none of {sum(len(one.asked) for one in (*streams, *batches))} requests"
        f" failed; from the alias to the last of {_STREAMS} streams {median(took):.1f} s"
        f" ({min(took):.1f} to {max(took):.1f}), {1.2 * _POLL:.1f} s of it at most unseen"
    )


async def _ask(port: int, seen: _Seen, requests: Iterator[bytes], pace: float) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    due = time.monotonic() + pace * np.random.default_rng().random()
    for request in requests:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        asked = time.monotonic()
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        if not head.startswith(b"http/1.1 200"):
            sys.exit(f"{head.splitlines()[0].decode()}: {body[:300]!r}")
        seen.asked.append(asked)
        seen.answered.append(time.monotonic())
        seen.version.append(body.partition(b'"version":"')[2].partition(b'"')[0])
        due = max(due + pace, asked)


def _feed(connection: int) -> Iterator[bytes]:
    """The next hours of a connection's streams, one after the other."""
    mine = range(connection, _STREAMS, _CONNECTIONS)
    for hour in itertools.count(_HISTORY):
        for stream in mine:
            path = f"/v1/models/{_TASK}/streams/{stream}/observations?forecast=true"
            body = {"ds": f"{_BEGIN + np.timedelta64(hour, 'h')}Z", "y": 500.25 + hour % 24}
            yield post_load.request(path, orjson.dumps(body))


def _batch() -> Iterator[bytes]:
    series = {"unique_id": "a", "start": f"{_BEGIN}Z", "y": _values(0, 336).tolist()}
    body = orjson.dumps({"model": _TASK, "series": [series]})
    return itertools.repeat(post_load.request("/v1/forecast", body))


def _open(port: int) -> None:
    """Open the streams with their history."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1/models/{_TASK}/streams") as client:
        for stream in range(_STREAMS):
            y = _values(stream, _HISTORY).tolist()
            answer = client.put(
                f"/{stream}", json={"history": {"start": f"{_BEGIN}Z", "y": y}}, timeout=60
            )
            if not answer.is_success:
                sys.exit(answer.text)
