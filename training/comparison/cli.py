"""`gatecast compare`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from store.settings import Settings
from training.exits import faults

# What is heavy is imported inside the command: `--help` must not wait for torch.

app = typer.Typer()


class Form(StrEnum):
    """How a comparison is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


class By(StrEnum):
    """What table and CSV have a line for."""

    OVERALL = "overall"
    HORIZON = "horizon"
    SERIES = "series"


@app.command(epilog="Example: gatecast compare load --versions 3,4 --format json")
def compare(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Task to compare versions of.")],
    *,
    versions: Annotated[str, typer.Option(help="Versions: 3,4; by default all.")] = "",
    data: Annotated[
        str, typer.Option(help="Score all of them anew on this file or database.")
    ] = "",
    columns: Annotated[
        str, typer.Option("--columns", help="Names of columns: unique_id=meter,ds=time,y=load.")
    ] = "",
    query: Annotated[
        str | None, typer.Option(help="SQL to run where --data is a database.")
    ] = None,
    n_windows: Annotated[int, typer.Option(min=1, help="With --data: windows a series.")] = 8,
    step_size: Annotated[
        int | None, typer.Option(min=1, help="With --data: steps between windows.")
    ] = None,
    cutoff: Annotated[
        str | None, typer.Option(help="With --data: last stamp that the first window sees.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="How to print.")] = Form.TABLE,
    by: Annotated[By, typer.Option(help="A line for what, in table and CSV.")] = By.OVERALL,
    plot: Annotated[Path | None, typer.Option(help="Draw a chart, as PNG, too.")] = None,
) -> None:
    """Show versions side by side with the baselines, and each against the champion.

    Scores are those of the windows that the versions have in common: from what each fit kept, or
    with --data scored anew. A version has learnt from what lies before its own backtest: give data
    or a --cutoff that none of them has seen.
    """
    with faults():
        from training.columns import numbers  # noqa: PLC0415
        from training.comparison import render as render_versions  # noqa: PLC0415
        from training.comparison.command import (  # noqa: PLC0415
            Rescoring,
            compare_versions,
            write_chart,
        )
        from training.comparison.live import live_scores  # noqa: PLC0415

        rescoring = Rescoring(data, columns, query, n_windows, step_size, cutoff) if data else None
        chosen = numbers(versions) if versions else ()
        settings = Settings()
        live = live_scores(settings.store_url, task)
        found = compare_versions(settings, task, chosen, rescoring, live=live)
        if form is Form.TABLE:
            console = Console()
            for table in render_versions.to_tables(found, by.value):
                console.print(table)
        elif form is Form.JSON:
            typer.echo(render_versions.to_json(found))
        else:
            typer.echo(render_versions.to_csv(found, by.value), nl=False)
        if plot is not None:
            write_chart(found, plot)
