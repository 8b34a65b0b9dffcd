"""`make stack` and `make stack-down`: what `docker-compose.yml` says, as processes of this machine.

    python -m processes.stack up | down [--folder var/stack] [--port …]

All that it makes lies in one folder: PostgreSQL's data, MLflow's artifacts, the service's bundles,
the secrets, and a log of each program.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import urlsplit

import psutil
import typer

from processes import compose, together
from processes.cluster import ClusterError, postgres
from processes.program import Program
from store.settings import Settings

_UP_SECONDS = 300.0
_DOWN_SECONDS = 240.0
_RUNNING = "all is running"

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True, slots=True)
class Stack:
    """Where a stack is, and on which ports of 127.0.0.1."""

    folder: Path
    port: int
    mlflow_port: int
    postgres_port: int

    @property
    def arguments(self) -> list[str]:
        """As `up`, `run` and `down` take them."""
        ports = (self.port, self.mlflow_port, self.postgres_port)
        names = ("--port", "--mlflow-port", "--postgres-port")
        given = [
            word for name, port in zip(names, ports, strict=True) for word in (name, str(port))
        ]
        return ["--folder", str(self.folder), *given]

    @property
    def pid_file(self) -> Path:
        """Of the process that holds the others together."""
        return self.folder / "pid"

    @property
    def log(self) -> Path:
        """What that process says."""
        return self.folder / "stack.log"

    def process(self) -> psutil.Process | None:
        """That process, if it runs."""
        try:
            found = psutil.Process(int(self.pid_file.read_text("ascii")))
            ours = "processes.stack" in found.cmdline()
        except (OSError, ValueError, psutil.Error):
            return None
        return found if ours and found.status() != psutil.STATUS_ZOMBIE else None

    def programs(self) -> list[Program]:
        """What is to run, in order. Raises ClusterError."""
        password = self._secret("database_password", secrets.token_urlsafe(24))
        place = f"127.0.0.1:{self.postgres_port}"
        self._secret("database_url", f"postgresql://gatecast:{password}@{place}/gatecast")
        made: list[Program] = []
        for name, service in compose.services().items():
            if name == "postgres":
                folder = self.folder / "postgres"
                made.append(postgres(folder, port=self.postgres_port, password=password))
                continue
            made.append(compose.program(name, service, self._replaced(service)))
        return made

    def _replaced(self, service: dict[str, object]) -> dict[str, str]:
        folders = {}
        for there, volume in compose.mounts(service).items():
            place = self.folder / volume
            place.mkdir(parents=True, exist_ok=True)
            folders[there] = str(place)
        return folders | {
            compose.SECRETS: f"{self.folder / 'secrets'}/",
            "mlflow:5000": f"127.0.0.1:{self.mlflow_port}",
            "localhost:5000": f"localhost:{self.mlflow_port}",
            "127.0.0.1:5000": f"127.0.0.1:{self.mlflow_port}",
            "127.0.0.1:8000": f"127.0.0.1:{self.port}",
            "--port 5000": f"--port {self.mlflow_port}",
            "8000": str(self.port),
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - a container's own; here it would be the network
        }

    def _secret(self, name: str, fresh: str) -> str:
        """A secret that is made once; the URL goes with the port."""
        file = self.folder / "secrets" / name
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if name == "database_url" or not file.exists():
            file.touch(0o600)
            file.write_text(fresh, "utf-8")
        return file.read_text("utf-8")


Folder = Annotated[Path, typer.Option(help="Where all of it lies.")]
Port = Annotated[int, typer.Option(help="Port of the service.", min=1, max=65_535)]
MlflowPort = Annotated[int, typer.Option(help="Port of MLflow's server.", min=1, max=65_535)]
PostgresPort = Annotated[int, typer.Option(help="Port of PostgreSQL.", min=1, max=65_535)]
_HERE = Path("var/stack")


@app.command()
def up(
    folder: Folder = _HERE,
    port: Port = 8000,
    mlflow_port: MlflowPort = 5000,
    postgres_port: PostgresPort = 54_330,
) -> None:
    """Start it, until all of it is healthy. Does nothing where it runs."""
    stack = Stack(folder.absolute(), port, mlflow_port, postgres_port)
    if stack.process() is not None:
        if _RUNNING in stack.log.read_text("utf-8"):
            typer.echo(f"It runs already; its logs are in {folder}.")
            return
        _fail(f"It is being started or stopped; {stack.log} says how far it is.")
    for name, each in (("service", port), ("MLflow", mlflow_port), ("PostgreSQL", postgres_port)):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", each)) == 0:
                _fail(f"Port {each} ({name}) is taken: stop what listens there, or choose another.")
    try:
        stack.folder.mkdir(parents=True, exist_ok=True)
        programs = stack.programs()
    except (ClusterError, OSError) as error:
        _fail(str(error))
    with stack.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "processes.stack", "run", *stack.arguments],
            cwd=compose.ROOT,
            env=_clean(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    stack.pid_file.write_text(str(process.pid), "ascii")
    end = time.monotonic() + _UP_SECONDS
    while _RUNNING not in (said := stack.log.read_text("utf-8")):
        if process.poll() is not None or time.monotonic() > end:
            process.terminate()
            _fail(f"It did not start; the logs are in {stack.folder}:\n{said[-2000:]}")
        time.sleep(0.2)
    urls = [each.health for each in programs if each.health and each.health.startswith("http")]
    places = ", ".join(f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in urls)
    typer.echo(f"It runs: {', '.join(each.name for each in programs)} ({places}).")
    typer.echo(f"Logs and data are in {folder}; make stack-down stops it.")


@app.command()
def down(folder: Folder = _HERE) -> None:
    """Stop it. Does nothing where it does not run."""
    stack = Stack(folder.absolute(), 0, 0, 0)
    process = stack.process()
    if process is None:
        typer.echo("It does not run.")
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_DOWN_SECONDS)
    except psutil.TimeoutExpired:
        _fail(f"It does not stop; {stack.log} says how far it is.")
    stack.pid_file.unlink(missing_ok=True)
    typer.echo("It is stopped.")


@app.command(hidden=True)
def run(folder: Folder, port: Port, mlflow_port: MlflowPort, postgres_port: PostgresPort) -> None:
    """Hold it together; what `up` leaves running."""
    stack = Stack(folder, port, mlflow_port, postgres_port)
    programs = stack.programs()
    logs = {each.name: (folder / f"{each.name}.log").open("ab", 0) for each in programs}

    def say(name: str, line: str) -> None:
        if name:
            logs[name].write(f"{line}\n".encode())
        else:
            typer.echo(line)

    drain = Settings().drain_seconds
    raise typer.Exit(together.run(programs, say=say, drain_seconds=drain))


def _clean() -> dict[str, str]:
    """Our environment without settings: the file has them all. The tools of this Python first."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GATECAST_", "MLFLOW_"))}
    tools = Path(sys.executable).parent
    return kept | {
        "PATH": f"{tools}{os.pathsep}{kept.get('PATH', '')}",
        "PYTHONPATH": os.pathsep.join([str(compose.ROOT), kept.get("PYTHONPATH", "")]).rstrip(":"),
    }


def _fail(reason: str) -> NoReturn:
    typer.echo(reason, err=True)
    raise typer.Exit(1)


if __name__ == "__main__":
    app()
