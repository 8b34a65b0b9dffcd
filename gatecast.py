"""The command `gatecast`: every part's commands in one place, and the demonstration of them all."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import orjson
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

import processes.cli
import service.cli
import training.cli
import training.exits
import training.jobs.cli
from store.settings import Settings

if TYPE_CHECKING:
    from training.panel import Panel

# What is heavy is imported inside the commands: `--help` must not wait for torch.

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Self-hosted sequence forecasting: fit, compare, serve.",
)
app.add_typer(training.cli.app)
app.add_typer(training.jobs.cli.app)
app.add_typer(service.cli.app)
app.add_typer(processes.cli.app)

_STARTUP_SECONDS = 60.0
_LEVELS = (80, 95)


def main() -> None:
    """Run the command line."""
    # Before torch loads: its idle threads would spin, and on busy cores a fit then takes five times
    # the processor time (measured on two cores with three other processes).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # Products of single streams are too small to share between threads (decision 36).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # The collector of cycles goes through what loads again and again: a fifth of the start.
    gc.set_threshold(50_000, 50, 50)
    try:
        app()
    except ValidationError as error:  # of the settings: whatever else is validated is handled
        for fault in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in fault["loc"]).upper()
            prefix = "" if name.startswith("MLFLOW") else "GATECAST_"
            typer.echo(f"gatecast: {prefix}{name}: {fault['msg']}", err=True)
        sys.exit(2)


@app.command(epilog="Example: gatecast demo --once")
def demo(
    once: Annotated[bool, typer.Option("--once", help="End instead of serving on.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port of the service.")] = 8000,
    loop: Annotated[
        bool, typer.Option("--loop", help="Show drift, retraining and promotion instead.")
    ] = False,
    mlflow_port: Annotated[
        int, typer.Option(min=1, max=65_535, help="Port of MLflow's pages, with --loop.")
    ] = 5000,
) -> None:
    """Fit, compare, register and serve forecasters of the weekly CO2 record of Mauna Loa.

    Everything is kept under GATECAST_VAR (./var); a second run reuses what is there. With --loop
    it is sales whose habits change: drift is raised, and the task retrained, promoted and swapped,
    all in var/loop, which is made anew each time.
    """
    for name, each in (("--port", port), *((("--mlflow-port", mlflow_port),) if loop else ())):
        if _taken(each):  # before minutes of fitting
            raise typer.BadParameter(f"port {each} is taken; choose another with {name}")
    if loop:
        _loop(once, port, mlflow_port)
        return
    from training import co2  # noqa: PLC0415

    console = Console()
    settings = Settings()
    panel = co2.panel()
    with training.exits.faults("Stopped. The same command goes on."), training.exits.terminable():
        _fitted(console, settings, panel)
    with _served(console, settings, port) as url:
        _forecast(console, settings, panel, url)
        _stream(console, panel, url)
        console.print(
            f"\nThe same again:  [bold]curl -s {url}/v1/forecast"
            f" -H 'content-type: application/json' -d @{_shown(_request_file(settings))}[/bold]\n"
            f"Models served:   curl -s {url}/v1/models\n"
            f"Runs and plots:  {_mlflow_ui(settings)}, then open http://127.0.0.1:5000",
            highlight=False,
            soft_wrap=True,
        )
        if not once:
            console.print(f"\nServing on {url} until Ctrl-C.", highlight=False)
            _wait()


def _loop(once: bool, port: int, mlflow_port: int) -> None:
    """The loop, until Ctrl-C where it is not to end at once."""
    from processes.loop.client import LoopError  # noqa: PLC0415
    from processes.loop.demo import played  # noqa: PLC0415
    from processes.loop.story import TASK, Plan  # noqa: PLC0415

    console, var = Console(), Settings().var / "loop"
    try:
        with (
            training.exits.faults("Stopped. The same command begins anew."),
            training.exits.terminable(),
            played(console, var, Plan(), port=port, mlflow_port=mlflow_port) as url,
        ):
            console.print(
                f"Live scores:   curl -s {url}/v1/models/{TASK}/scores\n"
                f"Its run:       curl -s {url}/v1/runs/1\n"
                f"The versions:  curl -s '{url}/v1/models/{TASK}/compare?versions=1,2'\n"
                f"MLflow:        http://127.0.0.1:{mlflow_port}",
                highlight=False,
                soft_wrap=True,
            )
            if not once:
                console.print(f"\nServing on {url} until Ctrl-C.", highlight=False)
                _wait()
    except LoopError as error:
        console.print(f"The loop stands still: {error}", style="red", highlight=False)
        raise typer.Exit(1) from None


def _fitted(console: Console, settings: Settings, panel: Panel) -> None:
    """Fit and register the task unless the registry has its champion."""
    from store.conventions import CHAMPION  # noqa: PLC0415
    from training import co2, render  # noqa: PLC0415
    from training.cell_choice import DEFAULT  # noqa: PLC0415
    from training.commands import candidates, fit_panel  # noqa: PLC0415
    from training.compare import compare, list_tasks  # noqa: PLC0415
    from training.registry import Registry  # noqa: PLC0415

    registry = Registry.of(settings)
    if any(task.task == co2.TASK and task.champion for task in list_tasks(registry)):
        console.print(f"Task {co2.TASK} has its {CHAMPION} already; reusing it.", highlight=False)
    else:
        tried = candidates(
            panel,
            cells=DEFAULT.cells,
            preset=None,
            horizon=co2.HORIZON,
            season=co2.SEASON,
            seed=0,
            threads=0,
        )
        fit_panel(
            panel,
            tried,
            settings=settings,
            task=co2.TASK,
            source="statsmodels: co2",
            n_windows=co2.WINDOWS,
            step_size=None,
            resume=(settings.var / "fits" / co2.TASK).exists(),
            console=console,
        )
    console.print(render.to_table(compare(registry, co2.TASK)))


@contextmanager
def _served(console: Console, settings: Settings, port: int) -> Iterator[str]:
    """The service as a process of its own, on loopback, ready; stopped when the block ends."""
    url = f"http://127.0.0.1:{port}"
    log = settings.var / "demo-service.log"
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "gatecast", "serve", "--host", "127.0.0.1", "--port", str(port)],
            stderr=file,
            env=os.environ | {"GATECAST_TASKS": "co2"},
        )
    try:
        with console.status("Starting the service"):
            deadline = time.monotonic() + _STARTUP_SECONDS
            while not _answers(url + "/readyz"):
                if process.poll() is not None or time.monotonic() > deadline:
                    console.print(f"The service did not start; {log} says why.")
                    raise typer.Exit(1)
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait()


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _forecast(console: Console, settings: Settings, panel: Panel, url: str) -> None:
    """Ask the service for the last year of the record, which the fit never saw, and show it."""
    from training import co2  # noqa: PLC0415

    series = panel.series[0]
    origin = len(series) - co2.HORIZON
    request = co2.request(panel, origin, _LEVELS)
    _request_file(settings).write_bytes(orjson.dumps(request))
    answer = httpx.post(f"{url}/v1/forecast", json=request, timeout=30.0)
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    ahead = body["forecasts"][0]
    truth = series.y[origin:]
    table = Table(title_justify="left", title_style="bold")
    table.title = f"The last 52 weeks, forecast over HTTP by version {body['version']} (ppm)"
    for column in ("week", "observed", "forecast", "error", "80 %", "95 %"):
        table.add_column(column, justify="right")
    for step in range(0, co2.HORIZON, 4):
        table.add_row(
            ahead["ds"][step][:10],
            f"{truth[step]:.2f}",
            f"{ahead['mean'][step]:.2f}",
            f"{ahead['mean'][step] - truth[step]:+.2f}",
            *(f"{ahead[f'lo-{p}'][step]:.2f}–{ahead[f'hi-{p}'][step]:.2f}" for p in _LEVELS),
        )
    console.print(table)
    error = co2.errors(panel, origin, ahead, _LEVELS)
    console.print(
        f"MAE {error.mae:.3f} ppm (seasonal naive {error.naive_mae:.3f}), MASE {error.mase:.3f}; "
        f"80 % interval holds {error.inside[80]:.0%}, 95 % {error.inside[95]:.0%} of the weeks.",
        highlight=False,
        soft_wrap=True,
    )
    chart = settings.var / "co2-forecast.png"
    co2.chart(panel, origin, ahead, _LEVELS).savefig(chart)
    console.print(f"Chart: {_shown(chart)}", highlight=False, soft_wrap=True)


def _stream(console: Console, panel: Panel, url: str) -> None:
    """The last year again, week by week through a stream; ends the demonstration if it differs."""
    from training import co2  # noqa: PLC0415

    with console.status("Streaming the last 52 weeks, one by one"):
        replay = co2.replayed(panel, url, _LEVELS[0])
    console.print(
        f"\nThe same weeks one by one through a stream: each was forecast a week ahead with"
        f" MAE {replay.mae:.3f} ppm, {replay.inside:.0%} of them inside the 80 % interval,"
        f" {replay.milliseconds:.1f} ms an observation.\n"
        f"Last streamed forecast against the batch one: {replay.difference:.1e} apart at most.",
        highlight=False,
        soft_wrap=True,
    )
    if replay.difference > co2.SAME:
        console.print("The stream and the batch differ: this must not be.", style="red")
        raise typer.Exit(1)


def _request_file(settings: Settings) -> Path:
    return settings.var / "co2-request.json"


def _mlflow_ui(settings: Settings) -> str:
    return (
        f"{_shown(Path(sys.executable).with_name('mlflow'))} server --port 5000"
        f" --backend-store-uri {settings.tracking_uri}"
    )


def _shown(path: Path) -> str:
    """A path as people would type it from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _wait() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        typer.echo("")


if __name__ == "__main__":
    main()
