"""Several processes as one: started in order, ended in the opposite order, and all or none.

Nothing is started again when it ends: whoever runs this is told, and decides.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from processes.health import healthy
from processes.program import Program

_START_SECONDS = 120.0  # until a program is ready; MLflow imports for ten on a busy machine
_LOOK_SECONDS = 0.1
_BESIDE_SECONDS = 5.0
"""What a service needs to stop beside the time for requests in flight."""
_STOPS = (signal.SIGINT, signal.SIGTERM)

Say = Callable[[str, str], None]
"""Called with a program's name and a line of it, or with "" and a line of ours."""


def run(programs: Sequence[Program], *, say: Say, drain_seconds: float) -> int:
    """Run all until a signal or until one of them ends; the exit status that follows.

    0 after SIGINT or SIGTERM, if all end well within `drain_seconds` and what they take beside; 1
    where one ended by itself, did not get ready, or had to be killed. Programs are started in
    order, each when the one before it is healthy. Call it from the main thread.
    """
    children: list[_Child] = []
    with _stops() as stopping:
        fault = None
        try:
            for program in programs:
                fault = _started(program, children, stopping, say)
                if fault or stopping.is_set():
                    break
            if not fault and not stopping.is_set():
                say("", "all is running; Ctrl-C stops it")
            while not fault and not stopping.wait(_LOOK_SECONDS):
                fault = _ended(children)
        finally:
            if fault:
                say("", f"{fault}; stopping the others")
            killed = [child for child in reversed(children) if not child.stop(drain_seconds)]
    for child in killed:
        say("", f"{child.name} did not stop within {drain_seconds:g} s and was killed")
    return 1 if fault or killed else 0


class _Child:
    """A program that runs, in a session of its own: Ctrl-C is ours to pass on, in order."""

    def __init__(self, program: Program, say: Say) -> None:
        self.name = program.name
        self.process = subprocess.Popen(  # noqa: S603 - our own list of commands
            program.command,
            env=os.environ | program.environment,
            user=program.user,
            group=program.user,
            extra_groups=None if program.user is None else (),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        output = self.process.stdout
        self._telling = threading.Thread(target=_tell, args=(output, self.name, say), daemon=True)
        self._telling.start()

    def stop(self, seconds: float) -> bool:
        """Let it end, and kill it after so long, with what it started; whether it ended itself."""
        self.process.terminate()
        try:
            self.process.wait(seconds + _BESIDE_SECONDS)
            return True
        except subprocess.TimeoutExpired:
            return False
        finally:
            with suppress(ProcessLookupError, PermissionError):  # what it left behind, if anything
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self._telling.join(5)


def _started(
    program: Program, children: list[_Child], stopping: threading.Event, say: Say
) -> str | None:
    """Start a program and wait until it is healthy; what is wrong where it, or another, is not."""
    try:
        children.append(_Child(program, say))
    except OSError as error:
        return f"{program.name} cannot be started ({error.strerror})"
    end = time.monotonic() + _START_SECONDS
    while program.health and not healthy(program.health):
        if stopping.wait(_LOOK_SECONDS):
            return None
        if fault := _ended(children):
            return fault
        if time.monotonic() > end:
            return f"{program.name} is not ready after {_START_SECONDS:g} s"
    return None


def _ended(children: Sequence[_Child]) -> str | None:
    for child in children:
        if (status := child.process.poll()) is not None:
            how = f"by signal {-status}" if status < 0 else f"with status {status}"
            return f"{child.name} ended {how}"
    return None


def _tell(output: IO[bytes] | None, name: str, say: Say) -> None:
    if output is not None:
        with output:
            for line in output:
                say(name, line.decode("utf-8", "replace").rstrip())


@contextmanager
def _stops() -> Iterator[threading.Event]:
    """Set when we are asked to stop, until the block ends."""
    stopping = threading.Event()
    before = {number: signal.signal(number, lambda *_: stopping.set()) for number in _STOPS}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
