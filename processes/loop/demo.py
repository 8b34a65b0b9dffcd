"""The loop for people: everything in a folder of its own, and every step told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from processes.loop.client import LoopError, until
from processes.loop.story import Plan, Story, Told, ratios

_STEPS = {
    "fit": "first champion fitted, backtested and registered",
    "serve": "service, scheduler and MLflow ready",
    "steady": "days of the old habits streamed",
    "drift": "days of the new habits streamed, until drift was raised",
    "retrain": "retrained by the scheduler from the observation log, through the gate",
    "swap": "service on the new version",
    "recovery": "days streamed to the new version",
}


@contextmanager
def played(
    console: Console, var: Path, plan: Plan, *, port: int, mlflow_port: int
) -> Iterator[str]:
    """Run the loop in the folder `var`, which is emptied first, and tell it; the service's URL.

    The service, the scheduler and MLflow run as `gatecast up` until the block ends. Raises
    LoopError where the loop stands still.
    """
    shutil.rmtree(var, ignore_errors=True)
    var.mkdir(parents=True)
    environment = _environment(var)
    began = time.monotonic()
    with _progress(console) as progress:
        bar = progress.add_task("", total=None)

        def tell(what: str, share: float | None) -> None:
            total = None if share is None else 1.0
            progress.update(bar, description=what, total=total, completed=share or 0.0)

        story = Story(plan, var, environment, tell)
        story.fit()
        tell("starting the service, the scheduler and MLflow", None)
        with _up(var, environment, port, mlflow_port) as url:
            with httpx.Client(base_url=url, timeout=60.0) as http:
                story.watch(http)
            progress.stop()
            _tell(console, story.told, time.monotonic() - began, var)
            yield url


def _environment(var: Path) -> Mapping[str, str]:
    """Ours without settings: what the loop makes lies in its folder and nowhere else."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GATECAST_", "MLFLOW_"))}
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))
    return kept | {"GATECAST_VAR": str(var), "GATECAST_POLL_SECONDS": "1", "PYTHONPATH": path}


@contextmanager
def _up(var: Path, environment: Mapping[str, str], port: int, mlflow_port: int) -> Iterator[str]:
    """`gatecast up`, until the block ends; the service's URL."""
    log = var / "up.log"
    words = ("--host", "127.0.0.1", "--port", str(port), "--mlflow-port", str(mlflow_port))
    with log.open("wb") as file:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "gatecast", "up", *words],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )

    def running() -> bool:
        if process.poll() is not None:
            raise LoopError(f"gatecast up ended with {process.returncode}; {log} says why")
        return "all is running" in log.read_text("utf-8", "replace")

    try:
        until(running, f"gatecast up is not ready; {log} says how far it is", 240)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _progress(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def _tell(console: Console, told: Told, seconds: float, var: Path) -> None:
    from processes.loop.chart import chart  # noqa: PLC0415 - slow to import

    days = {
        "steady": told.change,
        "drift": (told.drift or 0) - told.change,
        "recovery": len(told.error) - (told.swap or 0),
    }
    table = Table(title="What happened", title_justify="left", title_style="bold")
    table.add_column("step")
    table.add_column("seconds", justify="right")
    for step, what in _STEPS.items():
        count = f"{days[step]} " if step in days else ""
        table.add_row(f"{count}{what}", f"{told.seconds[step]:.1f}")
    console.print(table)
    first, second = told.versions
    scores = Table(title="Live scaled error, by lead", title_justify="left", title_style="bold")
    for column in (
        "lead",
        f"version {first}, old habits",
        f"version {first}, new habits",
        f"version {second}, new habits",
        "new over old",
    ):
        scores.add_column(column, justify="right")
    for lead, ratio in ratios(told):
        values = (told.calm[lead], told.old[lead], told.new[lead])
        scores.add_row(str(lead), *(f"{value:.3f}" for value in values), f"{ratio:.2f}")
    console.print(scores)
    picture = var / "loop.png"
    chart(told).savefig(picture)
    raised, run = told.raised, told.run
    console.print(
        f"Drift was raised at lead {raised['lead']} after {raised['blocks']} blocks: "
        f"statistic {raised['statistic']:.0f} of {raised['threshold']:.0f}.\n"
        f"Run {run['id']}: {run['outcome']['reason']}.\n"
        f"Chart: {picture}   ({seconds:.0f} s in all)",
        highlight=False,
        soft_wrap=True,
    )
