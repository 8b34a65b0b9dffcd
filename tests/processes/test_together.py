"""Programs that are run as one: all or none, in order, and nothing left behind."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from processes import together
from processes.program import Program
from tests.service.running import eventually

OBEDIENT = """
    import signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: (print("bye", flush=True), sys.exit(0)))
    print("hello", flush=True)
    time.sleep(60)
"""
DEAF = """
    import signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print("hello", flush=True)
    time.sleep(60)
"""


def program(name: str, code: str) -> Program:
    return Program(name, (sys.executable, "-c", textwrap.dedent(code)))


def run(
    *programs: Program, when: Callable[[list[str]], bool] | None = None, drain_seconds: float = 5
) -> tuple[int, list[str]]:
    """The exit status and what was said. when: what must have been said before we are stopped."""
    said: list[str] = []

    def stop() -> None:
        assert when is not None
        eventually(lambda: when(said))
        os.kill(os.getpid(), signal.SIGTERM)

    if when is not None:
        threading.Thread(target=stop, daemon=True).start()
    status = together.run(
        programs,
        say=lambda name, line: said.append(f"{name}: {line}"),
        drain_seconds=drain_seconds,
    )
    return status, said


def children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def test_a_signal_stops_all_in_the_opposite_order() -> None:
    def greeted(said: list[str]) -> bool:
        return {"one: hello", "two: hello"} <= {*said}

    status, said = run(program("one", OBEDIENT), program("two", OBEDIENT), when=greeted)
    assert status == 0
    assert said.index("two: bye") < said.index("one: bye")
    assert ": all is running; Ctrl-C stops it" in said


def test_when_one_ends_it_is_said_and_the_others_are_stopped() -> None:
    dying = program("two", "import time; print('oh', flush=True); time.sleep(0.5); exit(3)")
    status, said = run(program("one", OBEDIENT), dying)
    assert status == 1
    assert ": two ended with status 3; stopping the others" in said
    assert "one: bye" in said


def test_one_that_ends_well_has_ended_too() -> None:
    status, said = run(program("one", OBEDIENT), program("two", "import time; time.sleep(0.5)"))
    assert (status, ": two ended with status 0; stopping the others" in said) == (1, True)


def test_one_that_cannot_be_started_stops_those_before_it() -> None:
    status, said = run(program("one", OBEDIENT), Program("two", ("/no/such/program",)))
    assert status == 1
    assert any(line.startswith(": two cannot be started (No such file") for line in said)


def test_one_that_dies_before_it_is_healthy_is_not_waited_for() -> None:
    sick = Program("one", (sys.executable, "-c", "exit(2)"), health="http://127.0.0.1:9/health")
    status, said = run(sick, program("two", OBEDIENT))
    assert status == 1
    assert ": one ended with status 2; stopping the others" in said
    assert not any(line.startswith("two") for line in said)


def test_one_that_does_not_stop_is_killed_with_all_that_it_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(together, "_BESIDE_SECONDS", 0.0)
    before = children()  # of tests before this one
    status, said = run(program("deaf", DEAF), when=lambda s: "deaf: hello" in s, drain_seconds=0.5)
    assert status == 1
    assert any("deaf did not stop within" in line for line in said)
    eventually(lambda: children() <= before)


def test_a_signal_while_one_is_not_healthy_yet_ends_the_waiting() -> None:
    slow = program("slow", OBEDIENT)
    slow = Program("slow", slow.command, health="http://127.0.0.1:9/health")
    began = time.monotonic()
    status, _ = run(slow, when=lambda said: "slow: hello" in said)
    assert status == 0
    assert time.monotonic() - began < 30


def test_programs_have_the_environment_that_they_are_given(tmp_path: Path) -> None:
    code = "import os, time; print(os.environ['PLACE'], flush=True); time.sleep(60)"
    told = Program("one", (sys.executable, "-c", code), environment={"PLACE": str(tmp_path)})
    _, said = run(told, when=lambda s: f"one: {tmp_path}" in s)
    assert f"one: {tmp_path}" in said
