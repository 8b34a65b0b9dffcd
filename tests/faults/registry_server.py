"""A real `mlflow server` that is killed, frozen and started again, and a wire to it that lies."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import httpx

Ill = Literal["rubbish", "slow", "cut"]
_PATIENCE = 180.0  # seconds; it imports for ten on a busy machine
_RUBBISH = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]",
    b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 13\r\n\r\n<h1>Hello</h1",
    b'HTTP/1.1 200 OK\r\ncontent-length: 40\r\n\r\n{"registered_models": [{"name": 7}], "x":',
    b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{",
    b"HTTP/1.1 302 Away\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
    b"\x00\xff\x16\x03\x01",
)


class RegistryServer:
    """`mlflow server` with proxied artifacts, on a port of its own. url: where it is."""

    def __init__(self, folder: Path, backend: str) -> None:
        self.artifacts = folder / "artifacts"
        self._log = folder / "registry.txt"
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"),
            *("--port", str(self._port), "--workers", "1"),
            *("--backend-store-uri", backend, "--artifacts-destination", str(self.artifacts)),
        ]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, until it answers."""
        scripts = Path(sys.executable).parent  # mlflow looks for uvicorn on the path
        path = f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                env=os.environ
                | {
                    "PATH": path,
                    "MLFLOW_DISABLE_TELEMETRY": "true",
                    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # six processes for nothing
                },
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + _PATIENCE
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.2)

    def kill(self) -> None:
        """`kill -9` of all its processes."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """All its processes stand still; its connections are taken and never answered."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    @contextlib.contextmanager
    def killed(self) -> Iterator[None]:
        """It is not there; afterwards it is again."""
        self.kill()
        yield
        self.start()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.TransportError:
            return False


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


class Wire:
    """A port that leads to another, in sickness too. url: where it begins. ill: how it does."""

    def __init__(self, to: str) -> None:
        self.ill: Ill | None = None
        self._to = int(to.rpartition(":")[2])
        self._rubbish = itertools.cycle(_RUBBISH)
        wire = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    wire._carry(self.request)

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """No longer lead anywhere."""
        self._server.shutdown()
        self._server.server_close()

    @contextlib.contextmanager
    def sick(self, ill: Ill) -> Iterator[None]:
        """Lie until the end of the block."""
        self.ill = ill
        try:
            yield
        finally:
            self.ill = None

    def _carry(self, client: socket.socket) -> None:
        if self.ill == "cut" and random.random() < 0.5:  # noqa: S311 - no secret
            return
        with contextlib.closing(socket.create_connection(("127.0.0.1", self._to))) as server:
            asking = threading.Thread(target=_pour, args=(client, server), daemon=True)
            asking.start()
            while content := server.recv(65_536):
                if self.ill == "rubbish":
                    client.sendall(next(self._rubbish))
                    return
                if self.ill == "cut":
                    client.sendall(content[: len(content) // 2])
                    return
                if self.ill == "slow":
                    _trickle(client, content)
                else:
                    client.sendall(content)


def _pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(65_536):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)


def _trickle(target: socket.socket, content: bytes) -> None:
    """A byte every tenth of a second: each read is answered in time, and none is ever whole."""
    for place in range(len(content)):
        target.sendall(content[place : place + 1])
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port
