"""A PostgreSQL of one's own, to be stopped, frozen and started again."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import psutil
import pytest

How = Literal["fast", "immediate"]
"""How to stop a server; `immediate` is a crash, and the next start recovers."""
_PLACES = "/usr/lib/postgresql"


class Cluster:
    """A server. url: of its database `postgres`."""

    def __init__(self, bin_: Path, folder: Path, port: int) -> None:
        self.url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        self._bin = bin_
        self._data = folder / "db"
        self._options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder}"
        self._run("initdb", "-U", "postgres", "-A", "trust")

    def start(self) -> None:
        """Start it, until it answers."""
        log = self._data.parent / "log"
        self._run("pg_ctl", "-w", "-l", str(log), "-o", self._options, "start")

    def stop(self, how: How) -> None:
        """Stop it."""
        self._run("pg_ctl", "-w", "-m", how, "stop")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Every one of its processes stands still, and its connections stay open."""
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        postmaster = psutil.Process(pid)
        postmaster.suspend()
        stopped = [postmaster, *postmaster.children(recursive=True)]
        try:
            for each in stopped[1:]:
                each.suspend()
            yield
        finally:
            for each in stopped:
                each.resume()

    def _run(self, program: str, *arguments: str) -> None:
        as_postgres = ("runuser", "-u", "postgres", "--") if os.getuid() == 0 else ()
        command = [*as_postgres, str(self._bin / program), "-D", str(self._data), *arguments]
        with (self._data.parent / "commands.txt").open("ab") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, cwd="/")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A new server that runs; gone afterwards. Skips where PostgreSQL is not installed."""
    found = sorted(Path(_PLACES).glob("*/bin/initdb"))
    if not found:
        pytest.skip(f"no PostgreSQL server is installed below {_PLACES}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp())  # tmp_path is closed to the user that PostgreSQL runs as
    if os.getuid() == 0:  # as which it refuses to run
        shutil.chown(folder, "postgres")
    try:
        made = Cluster(found[-1].parent, folder, port)
        made.start()
        try:
            yield made
        finally:
            made.stop("immediate")
    finally:
        shutil.rmtree(folder)
