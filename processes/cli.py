"""`gatecast up`."""

from __future__ import annotations

import socket
import threading
from typing import Annotated

import typer

from store.settings import Settings

app = typer.Typer(no_args_is_help=True)


@app.command("up", epilog="Example: gatecast up --port 8080")
def up_command(
    host: Annotated[str | None, typer.Option(help="Address the service listens on.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port the service listens on.", min=1, max=65_535)
    ] = None,
    mlflow_port: Annotated[
        int, typer.Option(help="Port of MLflow's pages, on 127.0.0.1.", min=1, max=65_535)
    ] = 5000,
) -> None:
    """Run the service, the scheduler and MLflow's pages together until Ctrl-C.

    MLflow's server is not started where MLFLOW_TRACKING_URI names one. When one of them ends, the
    others are stopped and the exit status is 1: nothing is started again unseen.
    """
    from processes.roster import roster  # noqa: PLC0415 - `--help` must not wait
    from processes.together import run  # noqa: PLC0415

    given = {"host": host, "port": port}
    settings = Settings().model_copy(update={k: v for k, v in given.items() if v is not None})
    programs = roster(settings, mlflow_port=mlflow_port)
    for program in programs:
        if program.health and _taken(program.health):
            raise typer.BadParameter(
                f"{program.name}: something listens on {program.health.split('/')[2]} already"
            )
    lock = threading.Lock()
    width = max(len(program.name) for program in programs)

    def say(name: str, line: str) -> None:
        with lock:
            typer.echo(f"{name or 'up':{width}} | {line}")

    for program in programs:
        if program.health:
            say("", f"{program.name}: {program.health.rpartition('/')[0]}")
    raise typer.Exit(run(programs, say=say, drain_seconds=settings.drain_seconds))


def _taken(url: str) -> bool:
    host, _, port = url.split("/")[2].rpartition(":")
    with socket.socket(socket.AF_INET6 if "[" in host else socket.AF_INET) as probe:
        return probe.connect_ex((host.strip("[]"), int(port))) == 0
