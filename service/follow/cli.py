"""`gatecast stream`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from store.settings import Settings, masked

# What takes time to import is imported inside the command: `gatecast --help` must not wait.

app = typer.Typer(no_args_is_help=True)

_PORT = 8000  # where the settings leave it to chance
_LEVEL = 80.0  # of the interval that people are shown


@app.command(
    "stream",
    epilog="Example: gatecast stream load meters.csv --level 80,95\n\n"
    "Example: tail -n +1 -F today.ndjson | gatecast stream load - --json > forecasts.ndjson\n\n"
    "Example: gatecast stream co2 weeks.csv --unique-id mauna-loa --once --batch 1",
)
def stream_command(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Task whose champion forecasts.")],
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="File, folder, or - for standard input.")
    ],
    url: Annotated[
        str | None, typer.Option(help="The service; http://127.0.0.1 at GATECAST_PORT.")
    ] = None,
    unique_id: Annotated[
        str | None, typer.Option(help="Stream of the lines that name none.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--once", help="Wait for more, or end with what is there.")
    ] = True,
    h: Annotated[
        int | None, typer.Option("--h", min=1, help="Steps of a forecast; one, with --json all.")
    ] = None,
    level: Annotated[
        str, typer.Option(help="Intervals in percent: 80,95. The first is printed.")
    ] = "",
    rewind: Annotated[
        int, typer.Option(min=0, max=4096, help="Steps a value may be late, in streams opened.")
    ] = 0,
    columns: Annotated[
        str, typer.Option(help="Names of columns: unique_id=meter,ds=time,y=kwh.")
    ] = "",
    batch: Annotated[
        int, typer.Option(min=1, max=1000, help="Observations in a request, at most.")
    ] = 500,
    json: Annotated[
        bool, typer.Option("--json", help="Print the service's answers, a line of JSON each.")
    ] = False,
) -> None:
    """Send observations to streams of a running service, and print its forecasts as they come.

    Lines are CSV with a header (unique_id, ds, y, and the model's covariates) or JSON objects of
    the same names. A file is followed like tail -F; of a folder each new file is read once, in the
    order of names. Streams that are unknown are opened. Requests are repeated until the service has
    answered them, so nothing is left out, and what it has already it knows again: run the same
    command again after any fault.

    Ends with 0 when all that was read was taken, 3 when lines were bad or refused (standard error
    names them), 1 when the service or the source cannot be used, 130 when it was stopped before all
    that it had read was answered.
    """
    from service.follow.order import Order, carry_out  # noqa: PLC0415
    from service.follow.saying import People, as_json  # noqa: PLC0415

    levels = _levels(level)
    ask = {"level": level} if level else {}
    if h is not None or not json:
        ask["h"] = str(h or 1)
    at = url or f"http://127.0.0.1:{Settings().port or _PORT}"
    order = Order(
        task=task,
        source=source,
        url=at,
        unique_id=unique_id,
        follow=follow,
        ask=ask,
        rewind=rewind,
        columns=_columns(columns),
        most=batch,
        say=as_json if json else People(levels[0] if levels else _LEVEL),
    )
    try:
        status = carry_out(order, _note)
    except ValueError as error:
        raise typer.BadParameter(f"{masked(at)}: {error}", param_hint="--url") from None
    sys.exit(status)


def _note(text: str) -> None:
    typer.echo(f"gatecast: {text}", err=True)


def _levels(text: str) -> list[float]:
    try:
        levels = [float(word) for word in text.split(",")] if text else []
    except ValueError:
        levels = [0.0]
    if not all(0 < level < 100 for level in levels):
        raise typer.BadParameter("must be numbers between 0 and 100: 80,95", param_hint="--level")
    return levels


def _columns(text: str) -> dict[str, str]:
    named = dict(word.strip().partition("=")[::2] for word in text.split(",") if word.strip())
    if not (named.keys() <= {"unique_id", "ds", "y"} and all(named.values())):
        reason = "name columns as unique_id=meter,ds=time,y=load, any of the three"
        raise typer.BadParameter(reason, param_hint="--columns")
    return named
