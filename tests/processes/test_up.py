"""`gatecast up`, as a person runs it."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

import gatecast
from processes.roster import roster
from store.settings import Settings
from tests.commands import environment
from tests.deploy.command_lines import check
from tests.deploy.test_stack import free_ports
from tests.service.running import eventually


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)


def test_mlflow_is_started_first_and_only_where_none_is_configured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GATECAST_VAR", str(tmp_path))
    programs = roster(Settings(), mlflow_port=5000)
    assert [each.name for each in programs] == ["mlflow", "service", "scheduler"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    programs = roster(Settings(), mlflow_port=5000)
    assert [each.name for each in programs] == ["service", "scheduler"]


def test_every_program_is_a_command_that_there_is(tmp_path: Path) -> None:
    for each in roster(Settings(var=tmp_path), mlflow_port=5000):
        python, module, *words = each.command
        assert (python, module) == (sys.executable, "-m")
        check(words)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/livez"),
        ("0.0.0.0", "http://127.0.0.1:8000/livez"),  # noqa: S104
        ("::", "http://[::1]:8000/livez"),
    ],
)
def test_the_service_is_asked_where_it_listens(host: str, url: str, tmp_path: Path) -> None:
    settings = Settings(var=tmp_path, tracking_uri="http://mlflow:5000", host=host)
    assert roster(settings, mlflow_port=5000)[0].health == url


def test_a_port_that_is_taken_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GATECAST_VAR", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = CliRunner().invoke(gatecast.app, ["up", "--mlflow-port", str(port)])
    assert result.exit_code == 2
    assert f"127.0.0.1:{port}" in result.stderr


class Up:
    """`gatecast up` that runs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def said(self) -> str:
        return self._log.read_text("utf-8")


@contextmanager
def up(var: Path, ports: Sequence[int]) -> Iterator[Up]:
    log = var / "up.txt"
    words = ["--port", str(ports[0]), "--mlflow-port", str(ports[1])]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "gatecast", "up", *words],
            cwd=var,
            env=environment(var),
            stdout=file,
            stderr=file,
        )
    running = Up(process, log)
    try:
        eventually(lambda: "all is running" in running.said or process.poll() is not None, 240)
        assert process.poll() is None, running.said
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(120)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_of_it_runs_and_ctrl_c_ends_it_in_order(tmp_path: Path) -> None:
    ports = free_ports(2)
    with up(tmp_path, ports) as running:
        assert httpx.get(f"http://127.0.0.1:{ports[0]}/livez", timeout=30).status_code == 200
        pages = httpx.get(f"http://127.0.0.1:{ports[1]}", timeout=30)
        assert "<!doctype html>" in pages.text.lower()
        found = httpx.post(
            f"http://127.0.0.1:{ports[1]}/api/2.0/mlflow/experiments/search",
            json={"max_results": 5},
            timeout=30,
        )
        assert found.json()["experiments"][0]["artifact_location"].startswith("file:")
        children = psutil.Process(running.process.pid).children(recursive=True)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(90) == 0, running.said
        assert not any(child.is_running() for child in children)
    assert re.search(r"^service +\| \{", running.said, re.MULTILINE)
    assert re.search(r"^mlflow +\| ", running.said, re.MULTILINE)
