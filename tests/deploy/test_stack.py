"""`make stack` as a person uses it; what it is good for is in tests/processes/test_loop.py."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from processes.compose import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stack is, and its ports."""

    folder: Path
    port: int
    mlflow_port: int
    postgres_port: int

    def make(self, target: str) -> subprocess.CompletedProcess[str]:
        """`make stack` or `make stack-down`. What is installed is not looked at."""
        arguments = f"--folder {self.folder}"
        if target == "stack":
            arguments += f" --port {self.port} --mlflow-port {self.mlflow_port}"
            arguments += f" --postgres-port {self.postgres_port}"
        return subprocess.run(
            ["make", "-s", "-o", ".venv/installed", target, f"ARGS={arguments}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )

    def processes(self) -> list[psutil.Process]:
        """Everything that works in its folder, or is a child of what does."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            if any(str(self.folder) in word for word in process.info["cmdline"] or ()):
                found += [process, *process.children(recursive=True)]
        return found


@pytest.fixture
def place() -> Iterator[Place]:
    with temporary_place() as made:
        yield made


@contextmanager
def temporary_place() -> Iterator[Place]:
    """Where a stack can be, until the block ends; one that still runs is stopped."""
    folder = Path(tempfile.mkdtemp())  # tmp_path is closed to the user that PostgreSQL runs as
    folder.chmod(0o755)
    made = Place(folder / "stack", *free_ports(3))
    try:
        yield made
    finally:
        made.make("stack-down")
        shutil.rmtree(folder)


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in taken:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in taken]


@pytest.mark.long
def test_a_stack_is_started_once_and_stopped_whole(place: Place) -> None:
    done = place.make("stack")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "It runs: postgres, mlflow, service, scheduler" in done.stdout
    again = place.make("stack")
    assert (again.returncode, "It runs already" in again.stdout) == (0, True), again.stderr
    url = f"http://127.0.0.1:{place.port}"
    assert httpx.get(f"{url}/livez", timeout=30).status_code == 200
    tracking = f"http://127.0.0.1:{place.mlflow_port}"
    assert "<!doctype html>" in httpx.get(tracking, timeout=30).text.lower()

    down = place.make("stack-down")
    assert (down.returncode, down.stdout) == (0, "It is stopped.\n"), down.stderr
    assert place.processes() == []
    idle = place.make("stack-down")
    assert (idle.returncode, idle.stdout) == (0, "It does not run.\n")


def test_a_port_that_is_taken_is_told_in_a_line(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", place.mlflow_port))
        taken.listen()
        done = place.make("stack")
    assert done.returncode != 0
    assert f"Port {place.mlflow_port} (MLflow) is taken" in done.stderr
    assert "Traceback" not in done.stderr
    assert not place.folder.exists()
