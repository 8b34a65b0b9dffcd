"""`gatecast tune`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from store.conventions import task_name
from store.settings import Settings
from training.cell_choice import CellChoice
from training.exits import faults, terminable
from training.options import (
    ColumnNames,
    Data,
    Freq,
    FutrExog,
    HistExog,
    Holidays,
    NWindows,
    Query,
    Season,
    Seed,
    StatExog,
    StepSize,
    Task,
    Timezone,
)

# What is heavy is imported inside the commands: `--help` must not wait for torch.

app = typer.Typer(no_args_is_help=True)

_CELLS = (CellChoice.LSTM, CellChoice.GRU, CellChoice.ALL)


@app.command(
    epilog="Example: gatecast tune load.csv --task load --horizon 48 --trials 40 --budget 2h"
)
def tune(
    data: Data,
    task: Task,
    horizon: Annotated[int, typer.Option(min=1, help="Steps to forecast.")],
    freq: Freq = None,
    season: Season = None,
    cell: Annotated[
        CellChoice, typer.Option(help="lstm, gru, or all: either is tried, and all three fitted.")
    ] = CellChoice.ALL,
    trials: Annotated[int, typer.Option(min=1, help="Trials in all, earlier ones included.")] = 20,
    budget: Annotated[
        str | None, typer.Option(help="Time for the trials: 45m, 2h; by default no bound.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=0, help="Trials at once, a thread each; 0: one for each core.")
    ] = 0,
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
) -> None:
    """Search for settings that fit the data better, then fit, backtest and register with them.

    Trials are judged on validation windows that lie before those of the backtest. They are kept in
    the store: the same command goes on with a search that was stopped or killed, and --trials adds
    to one that has ended. Each is a run in MLflow, nested in the run of the search, which has its
    charts. The best becomes champion through the same gate as any other version.
    """
    with faults("Stopped. The same command goes on."), terminable():
        task_name(task)  # before the data are read
        if cell not in _CELLS:
            raise ValueError(f"--cell {cell.value}: a search has lstm, gru or all")
        from training.columns import numbers, panel_of, seconds  # noqa: PLC0415
        from training.tuning.command import tune_panel  # noqa: PLC0415

        left = None if budget is None else seconds(budget)
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
        tune_panel(
            panel,
            settings=Settings(),
            task=task,
            source=data,
            cells=cell.cells,
            horizon=horizon,
            season=None if season is None else numbers(season),
            trials=trials,
            budget=left,
            jobs=jobs,
            n_windows=n_windows,
            step_size=step_size,
            seed=seed,
            console=Console(),
        )
