"""`gatecast stream` as a process, the lines that it is given, and what came of them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.commands import environment

HEADER = "unique_id,ds,y\n"


def command(url: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "gatecast", "stream", *words, "--url", url]


def stream(
    url: str, folder: Path, *words: str, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """The command to its end."""
    return subprocess.run(
        command(url, *words),
        cwd=folder,
        env=environment(folder),
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextlib.contextmanager
def following(url: str, folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The command at work; killed at the end if it is still there."""
    with subprocess.Popen(
        command(url, *words),
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def row(name: str, hour: int, y: object = 1.5) -> str:
    return f"{name},2026-03-{1 + hour // 24:02}T{hour % 24:02}:00:00Z,{y}\n"


def log(url: str, name: str, task: str = "load") -> list[Any]:
    """The values that a stream has observed, in their order; none where there is no stream."""
    body = httpx.get(f"{url}/v1/models/{task}/streams/{name}/snapshot", timeout=30).json()
    values: list[Any] = body.get("history", {}).get("y", [])
    return values


def told(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """How it ends after a signal, and its last words."""
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    return process.returncode, err
