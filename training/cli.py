"""`gatecast fit | backtest | models | forecast`; `compare` and promotions have their own."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from store.conventions import task_name
from store.settings import Settings
from training.cell_choice import DEFAULT, CellChoice
from training.comparison import cli as compare_cli
from training.exits import faults, terminable
from training.options import (
    ColumnNames,
    Data,
    Freq,
    FutrExog,
    HistExog,
    Holidays,
    NWindows,
    Output,
    Query,
    Season,
    Seed,
    StatExog,
    StepSize,
    Task,
    Timezone,
    Which,
)
from training.promotion import cli as promotion_cli
from training.tuning import cli as tuning_cli

# What is heavy is imported inside the commands: `--help` must not wait for torch.

app = typer.Typer(no_args_is_help=True)
app.add_typer(compare_cli.app)
app.add_typer(promotion_cli.app)
app.add_typer(tuning_cli.app)


class Preset(StrEnum):
    """Forecasters with a name."""

    TEXTBOOK = "textbook"


@app.command(
    epilog="Example: gatecast fit load.csv --task load --freq h --horizon 48 --season 24,168"
)
def fit(
    data: Data,
    task: Task,
    horizon: Annotated[int | None, typer.Option(min=1, help="Steps to forecast.")] = None,
    freq: Freq = None,
    season: Season = None,
    cell: Annotated[
        CellChoice,
        typer.Option(help="ensemble: the mean of lstm and gru; both: the two; all: the three."),
    ] = DEFAULT,
    preset: Annotated[
        Preset | None, typer.Option(help="textbook: LSTM(50) over 100 values, 10 ahead.")
    ] = None,
    timezone: Timezone = None,
    columns: ColumnNames = "",
    hist_exog: HistExog = "",
    futr_exog: FutrExog = "",
    stat_exog: StatExog = "",
    holidays: Holidays = None,
    query: Query = None,
    n_windows: NWindows = 1,
    step_size: StepSize = None,
    seed: Seed = 0,
    threads: Annotated[int, typer.Option(min=0, help="Processor threads; 0: torch's choice.")] = 1,
    budget: Annotated[
        str | None, typer.Option(help="Time for the fits: 90s, 10m, 1h; by default no bound.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a fit that was stopped or killed.")
    ] = False,
) -> None:
    """Fit an LSTM, a GRU and their ensemble, backtest them, and register them with MLflow.

    The best becomes the task's champion if it beats seasonal naive on the backtest windows,
    which are kept from the fit. A fit that is stopped goes on with --resume.
    """
    with faults("Stopped. The same command with --resume goes on."), terminable():
        task_name(task)  # before the data are read
        from training.columns import numbers, panel_of, seconds  # noqa: PLC0415
        from training.commands import candidates, fit_panel  # noqa: PLC0415

        most = None if budget is None else seconds(budget)
        panel = panel_of(
            data,
            freq=freq,
            timezone=timezone,
            columns_text=columns,
            hist_exog=hist_exog,
            futr_exog=futr_exog,
            stat_exog=stat_exog,
            holidays=holidays,
            query=query,
        )
        tried = candidates(
            panel,
            cells=cell.cells,
            preset=preset.value if preset else None,
            horizon=horizon,
            season=None if season is None else numbers(season),
            seed=seed,
            threads=threads,
        )
        fit_panel(
            panel,
            tried,
            settings=Settings(),
            task=task,
            source=data,
            n_windows=n_windows,
            step_size=step_size,
            resume=resume,
            console=Console(),
            budget=most,
        )


@app.command(epilog="Example: gatecast backtest load.csv --task load --n-windows 4 -o scores.csv")
def backtest(
    data: Data,
    task: Annotated[str, typer.Option(help="Task whose versions are scored.")],
    versions: Annotated[
        str, typer.Option(help="Versions, by number or alias: 1,2,champion; by default all.")
    ] = "",
    columns: ColumnNames = "",
    query: Query = None,
    n_windows: NWindows = 1,
    step_size: StepSize = None,
    cutoff: Annotated[
        str | None, typer.Option(help="Last stamp or step that the first window sees.")
    ] = None,
    output: Output = None,
) -> None:
    """Score registered versions, seasonal naive and exponential smoothing on the same windows.

    A version has learnt from what lies before its own backtest: give data or a --cutoff that it has
    not seen. With --output the scores by series are written as CSV.
    """
    with faults():
        from training.columns import words  # noqa: PLC0415
        from training.commands import backtest_versions  # noqa: PLC0415

        backtest_versions(
            data,
            settings=Settings(),
            task=task,
            which=words(versions),
            columns=columns,
            query=query,
            n_windows=n_windows,
            step_size=step_size,
            cutoff=cutoff,
            output=output,
            console=Console(),
        )


@app.command("models", epilog="Example: gatecast models")
def models_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the tasks of the registry with their champions."""
    with faults():
        from training import render  # noqa: PLC0415
        from training.compare import list_tasks  # noqa: PLC0415
        from training.registry import Registry  # noqa: PLC0415

        found = list_tasks(Registry.of(Settings()))
        if as_json:
            typer.echo(render.tasks_json(found))
        else:
            Console().print(render.tasks_table(found))


@app.command(epilog="Example: gatecast forecast load.csv --task load --level 80,95 -o ahead.csv")
def forecast(
    data: Data,
    task: Annotated[str, typer.Option(help="Task to forecast with.")],
    version: Which = "champion",
    horizon: Annotated[
        int | None,
        typer.Option("--horizon", "-h", min=1, help="Steps; by default those it was trained for."),
    ] = None,
    level: Annotated[str, typer.Option(help="Central intervals in percent: 80,95.")] = "80,95",
    columns: ColumnNames = "",
    query: Query = None,
    output: Output = None,
) -> None:
    """Forecast every series of a file or query with a registered version; CSV, no server needed."""
    with faults():
        from training.commands import forecast_series  # noqa: PLC0415

        forecast_series(
            data,
            settings=Settings(),
            task=task,
            which=version,
            horizon=horizon,
            level=level,
            columns=columns,
            query=query,
            output=output,
        )
