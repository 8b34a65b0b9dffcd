"""A service under `strace`, and what was posted to it meanwhile."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import httpx
import psutil
import pytest

from tests.faults.plans import Observation, plan
from tests.faults.serving import TASK
from tests.faults.trace import OPTIONS, Event, events
from tests.service.running import eventually

STREAMS = 4
POSTS = 60
_MOST = 8  # observations in a post

# The write-ahead log goes into the database after every few commits, so that this is seen too.
_PROGRAM = """
import sys
import gatecast
from service import registry
from store import database

registry._START_SECONDS = 0.02
database._CHECKPOINT_PAGES = 30
prepare = database._prepare_sqlite

def prepared(connection, record):
    prepare(connection, record)
    connection.execute("PRAGMA synchronous = {synchronous}").close()

if "{synchronous}":
    database._prepare_sqlite = prepared
sys.argv = ["gatecast", "serve", "--port", "{port}"]
gatecast.main()
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A post that was answered 200. id: in the head of the answer."""

    id: str
    stream: str
    observations: list[Observation]


@dataclass(frozen=True, slots=True)
class Traced:
    """What a service did, and what it had said."""

    store: Path
    events: list[Event]
    answers: list[Answer]


def traced(folder: Path, bundles: Path, *, synchronous: str = "") -> Traced:
    """A service that was posted to by several clients at once, and ended.

    synchronous: what SQLite is to do instead of what the service asks it for.
    """
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    shutil.copytree(bundles, folder / "bundles")
    with _running(folder, synchronous) as url, ThreadPoolExecutor(STREAMS) as pool:
        answers = pool.map(lambda number: _posted(url, f"s{number}"), range(STREAMS))
        given = [answer for its in answers for answer in its]
    return Traced(folder / "gatecast.db", events(folder / "trace"), given)


@contextmanager
def _running(folder: Path, synchronous: str) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = _PROGRAM.format(synchronous=synchronous, port=port)
    environment = {
        "GATECAST_VAR": str(folder),
        "GATECAST_LOG_LEVEL": "warning",
        "GATECAST_POLL_SECONDS": "86400",
    }
    with (folder / "log.txt").open("wb") as log:
        strace = subprocess.Popen(
            ["strace", *OPTIONS, "-o", folder / "trace", sys.executable, "-c", program],
            env=os.environ | environment,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: strace.poll() is not None or _ready(url), 60)
        yield url
    finally:
        if strace.poll() is None:
            for service in psutil.Process(strace.pid).children():
                service.terminate()
        strace.wait(60)
    assert strace.returncode in (0, -15), (folder / "log.txt").read_text()


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _posted(url: str, stream: str) -> list[Answer]:
    observations = plan(stream, late=False)
    answers = []
    path = f"{url}/v1/models/{TASK}/streams/{stream}"
    with httpx.Client(timeout=30) as http:
        assert http.put(path).status_code == 201
        for number in range(POSTS):
            given = [*islice(observations, 1 + number % _MOST)]
            answer = http.post(
                f"{path}/observations",
                json={"observations": [each.body() for each in given]},
                headers={"x-request-id": f"{stream}.{number}."},
            )
            assert answer.status_code == 200, answer.text
            assert {each["status"] for each in answer.json()["results"]} == {200}
            answers.append(Answer(f"{stream}.{number}.", stream, given))
    return answers
