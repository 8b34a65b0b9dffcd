"""The server as a process: started by its command, ended by a signal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from typer.testing import CliRunner

from service.cli import app
from store.settings import Settings
from tests.service.conftest import counted
from tests.service.held_back import HeldBack
from tests.service.registries import EmbeddedRegistry
from tests.service.running import eventually


def test_help_shows_an_example() -> None:
    for command in ("serve", "settings"):
        answer = CliRunner().invoke(app, [command, "--help"])
        assert answer.exit_code == 0
        assert "Example:" in answer.output


def test_settings_are_printed_with_secrets_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATECAST_DATABASE_URL", "postgresql://me:hunter2@db/gatecast")
    answer = CliRunner().invoke(app, ["settings"])
    assert answer.exit_code == 0
    assert "hunter2" not in answer.output
    assert "port = 8000" in answer.output


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, service.cli; sys.exit('torch' in sys.modules or 'mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_a_signal_lets_requests_in_flight_finish(
    settings: Settings, registry: EmbeddedRegistry, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {"GATECAST_VAR": str(settings.var), "GATECAST_TASKS": "steps"}
    code = "from service.cli import app; app()"
    command = [sys.executable, "-c", code, "serve", "--port", str(port)]
    log = tmp_path / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(command, env=environment, stderr=errors)
    url = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        try:
            return httpx.get(f"{url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    eventually(is_ready, 60)
    children = psutil.Process(process.pid).children()
    assert len(children) == 1
    series = [{"unique_id": str(i), "y": [1.0 + j % 7 for j in range(900)]} for i in range(300)]
    body = json.dumps(counted() | {"series": series}).encode()
    asking = HeldBack(f"{url}/v1/forecast", body)
    process.send_signal(signal.SIGTERM)
    eventually(lambda: not is_ready())
    assert asking.send()[0] == 200
    assert process.wait(30) in (0, -signal.SIGTERM)
    assert not any(child.is_running() for child in children)
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    assert {"event", "level", "timestamp"} <= set(lines[0])
    assert any(line.get("path") == "/v1/forecast" and line["status"] == 200 for line in lines)
