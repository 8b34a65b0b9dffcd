"""Streams: what an observation costs, beside the bare network and a bare FastAPI route.

    python -m benchmarks streams

takes about two minutes and trains nothing: the forecasters (two layers of 96, a window of 168, 48
steps ahead, 11 quantiles, a calendar) are as their seed made them, which costs the same to run.
Everything is measured in turns in one run; trust the ratios. PostgreSQL is measured where
GATECAST_TEST_POSTGRES names a database, in which the tables of the store are left behind.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import cast

import httpx
import numpy as np
import orjson
import torch

from benchmarks import bulk_load, post_load, servers
from benchmarks.http import reference, register
from models.context import Context
from models.forecaster import Forecaster, new_forecaster
from models.predict import predict
from models.recurrent import Recurrent
from models.spec import Cell
from models.state import Steps
from models.stepper import Stepper
from models.timeline import Timeline

_CONNECTIONS, _POSTS, _TURNS = 64, 150, 4
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_TASK = "bench"


def main() -> None:
    """Print a line a measurement, for each cell."""
    torch.set_num_threads(1)
    cells: tuple[Cell, ...] = ("gru", "lstm")
    for cell in cells:
        print(f"{cell}, 2 x 96")
        spec = reference(cell, Timeline(kind="time", freq="h"), ("hour_of_day", "day_of_week"))
        _steps(new_forecaster(spec, seed=0))
        with tempfile.TemporaryDirectory() as scratch:
            register(Path(scratch), spec)
            _http(Path(scratch))


def _steps(forecaster: Forecaster) -> None:
    """A step and its forecast, in turns with the bare network and with a pass over 960 values."""
    spec, stepper = forecaster.spec, Stepper(forecaster)
    random = np.random.default_rng(0)
    y = 500 + 100 * np.sin(np.arange(960) * 2 * np.pi / 24) + random.normal(size=960)
    exog = random.normal(size=(960, spec.exog_size)).astype(np.float32)
    none = np.zeros((spec.horizon, 0), np.float32)
    context = Context(y, exog, none, np.zeros(0, np.float32))
    for n in (1, 256):
        with torch.inference_mode():
            past = Steps(torch.from_numpy(y).repeat(n, 1), torch.from_numpy(exog).repeat(n, 1, 1))
            state = forecaster.replay(forecaster.initial_state(n), past)
            value, known = torch.full((n,), 510.0).double(), torch.from_numpy(exog[:1]).repeat(n, 1)
            x = torch.randn(n, 1, forecaster.encoder.inputs)
            memory = state.memory.transpose(0, 1).contiguous()
            layers, kernel = spec.layers, cast("Recurrent", forecaster.recurrent).kernel
            held = (memory[:layers], memory[layers:]) if spec.cell == "lstm" else memory
            h, z = torch.randn(n, spec.hidden_size), torch.randn(n, spec.lags)

            def bare(kernel=kernel, x=x, held=held, h=h, z=z) -> None:  # type: ignore[no-untyped-def]
                kernel(x, held)
                forecaster.head(h, z, None)

            def step(state=state, value=value, known=known) -> None:  # type: ignore[no-untyped-def]
                stepper.step(state, value, known)

            def tensors(state=state, value=value, known=known) -> None:  # type: ignore[no-untyped-def]
                forecaster.step(state, value, known)

            works: dict[str, Callable[[], object]] = {"bare": bare, "step": step}
            if n == 1:
                works["tensors"] = tensors
                works["pass"] = lambda: predict(forecaster, [context])
            took = _in_turns(works, 400 if n == 1 else 60)
        line = (
            f"  {n} stream{'s' if n > 1 else ''}: step and forecast {took['step'] / n:.1f} us each,"
        )
        line += f" {took['step'] / took['bare']:.2f} x the bare network ({took['bare'] / n:.1f} us)"
        if n == 1:
            line += f"; by tensors {took['tensors']:.1f} us"
            line += f"; a pass over 960 values is {took['pass'] / took['step']:.0f} x as dear"
        print(line)


def _in_turns(works: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Median microseconds of processor time of each."""
    took: dict[str, list[int]] = {name: [] for name in works}
    for _ in range(turns):
        for name, work in works.items():
            began = time.thread_time_ns()
            work()
            took[name].append(time.thread_time_ns() - began)
    return {name: median(each) / 1000 for name, each in took.items()}


def _http(var: Path) -> None:
    """One observation with its forecast at 64 connections; then NDJSON, durable, on SQLite."""
    stores = {"no disk": "sqlite://", "SQLite, synced": f"sqlite:///{var}/gatecast.db"}
    if "GATECAST_TEST_POSTGRES" in os.environ:
        stores["PostgreSQL"] = os.environ["GATECAST_TEST_POSTGRES"]
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(servers.gatecast(var, GATECAST_DATABASE_URL=url))
            for name, url in stores.items()
        }
        prefix = f"{time.time_ns():x}-"
        for server in running.values():
            _open(server.port, prefix)
        first = [its[:1] for its in _posts(prefix, 0)]
        answer = post_load.post(running["no disk"].port, first).body
        (var / "answer").write_bytes(answer)
        running["bare FastAPI"] = stack.enter_context(servers.bare(var / "answer", var))
        rates: dict[str, list[float]] = {name: [] for name in running}
        work: dict[str, list[float]] = {name: [] for name in running}
        for turn in range(_TURNS):
            for name, server in running.items():
                before = server.cpu_seconds()
                load = post_load.post(server.port, list(_posts(prefix, 1 + turn * _POSTS)))
                rates[name].append(load.rate)
                work[name].append(1e6 * (server.cpu_seconds() - before) / load.answers)
        print(f"  one observation with forecast ({len(answer)} bytes), {_CONNECTIONS} connections")
        for name in running:
            share = median(rates[name]) / median(rates["bare FastAPI"])
            low, high = min(rates[name]), max(rates[name])
            print(
                f"    {name:15} {median(rates[name]):7.0f} a second ({low:.0f} to {high:.0f}),"
                f" {share:.0%} of bare, {median(work[name]):.0f} us of processor each"
            )
        _crowds(running["SQLite, synced"])
        port = running["SQLite, synced"].port
        for streams, steps in ((1_000, 10), (100, 100)):
            bodies = bulk_load.requests(
                _TASK,
                streams=streams,
                steps=steps,
                count=12,
                prefix=f"{streams}-",
                query="?open=true",
            )
            first_body, *rest = bodies
            post_load.post(port, [[first_body]])
            done = post_load.post(port, [rest])
            rate = done.answers * streams * steps / done.seconds
            print(
                f"    NDJSON, {streams} streams x {steps} a request:"
                f" {rate:.0f} observations a second"
            )


def _crowds(server: servers.Server) -> None:
    """The same posts spread over ever more streams; and the memory that each of them takes."""
    for streams in (1_000, 100_000):
        before = server.memory()
        opened = [  # by the thousand, so that no large request is what takes the memory
            each
            for group in range(streams // 1_000)
            for each in bulk_load.requests(
                _TASK,
                streams=1_000,
                steps=1,
                count=1,
                prefix=f"{streams}-{group}-",
                query="?open=true",
            )
        ]
        post_load.post(server.port, [opened])
        held = (server.memory() - before) / streams / 1024
        rates: list[float] = []
        work: list[float] = []
        for turn in range(_TURNS):
            cpu = server.cpu_seconds()
            load = post_load.post(server.port, _rounds(streams, turn * _POSTS))
            rates.append(load.rate)
            work.append(1e6 * (server.cpu_seconds() - cpu) / load.answers)
        print(
            f"    {streams} streams open: {median(rates):.0f} a second"
            f" ({min(rates):.0f} to {max(rates):.0f}), {median(work):.0f} us of processor each,"
            f" {held:.1f} KiB of memory a stream"
        )


def _rounds(streams: int, begin: int) -> list[list[bytes]]:
    """Each connection's next requests: it goes round its share of the streams, hour by hour."""
    share = streams // _CONNECTIONS
    return [
        [
            _observation(f"{streams}-{place // 1_000}-{place % 1_000}", 1 + number // share)
            for number in range(begin, begin + _POSTS)
            for place in [connection * share + number % share]
        ]
        for connection in range(_CONNECTIONS)
    ]


def _open(port: int, prefix: str) -> None:
    history = {
        "start": f"{_BEGIN:%Y-%m-%dT%H:%M:%SZ}",
        "y": [500.0 + hour % 24 for hour in range(168)],
    }
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/v1/models/{_TASK}/streams") as client:
        for number in range(_CONNECTIONS):
            answer = client.put(f"/{prefix}{number}", json={"history": history})
            if not answer.is_success:
                sys.exit(answer.text)


def _posts(prefix: str, begin: int) -> Iterator[Sequence[bytes]]:
    """Each connection's requests: the next hours of a stream of its own."""
    for number in range(_CONNECTIONS):
        yield [_observation(f"{prefix}{number}", 168 + begin + step) for step in range(_POSTS)]


def _observation(stream: str, hour: int) -> bytes:
    path = f"/v1/models/{_TASK}/streams/{stream}/observations?forecast=true"
    ds = _BEGIN + timedelta(hours=hour)
    body = {"ds": f"{ds:%Y-%m-%dT%H:%M:%SZ}", "y": 500.25 + ds.hour}
    return post_load.request(path, orjson.dumps(body))
