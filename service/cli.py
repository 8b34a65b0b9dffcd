"""`gatecast serve` and `gatecast settings`, beside `gatecast stream`."""

from __future__ import annotations

from typing import Annotated

import typer

import service.follow.cli
from store.settings import Settings

app = typer.Typer(no_args_is_help=True)
app.add_typer(service.follow.cli.app)


@app.command(
    "serve",
    epilog="Example: gatecast serve --host 0.0.0.0 --port 8080",
)
def serve_command(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65_535)
    ] = None,
) -> None:
    """Serve the champions of the model registry over HTTP.

    Everything else is set by environment variables: `gatecast settings` lists them.
    """
    from service.server import serve  # noqa: PLC0415 - it imports torch: `--help` must not wait

    given = {"host": host, "port": port}
    serve(Settings().model_copy(update={k: v for k, v in given.items() if v is not None}))


@app.command("settings", epilog="Example: GATECAST_PORT=8080 gatecast settings")
def settings_command() -> None:
    """Print every setting as the environment has it, secrets masked."""
    for name, value in Settings().public().items():
        typer.echo(f"{name} = {value}")
