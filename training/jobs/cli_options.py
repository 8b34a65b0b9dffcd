"""Options that `gatecast schedule set` and `gatecast retrain` share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.cell_choice import CellChoice

if TYPE_CHECKING:
    from training.jobs.options import Options


Task = Annotated[str, typer.Argument(metavar="TASK", help="The task.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Query = Annotated[str | None, typer.Option(help="SQL to run where the source is a database.")]
Horizon = Annotated[
    int | None, typer.Option(min=1, help="Steps to forecast; as the champion does.")
]
Season = Annotated[str | None, typer.Option(help="Season lengths: 24,168; the champion's.")]
CellOption = Annotated[
    CellChoice | None, typer.Option("--cell", help="Forecasters to fit, as for `fit`.")
]
Freq = Annotated[str | None, typer.Option(help="Frequency of the data; the champion's.")]
DataZone = Annotated[str | None, typer.Option(help="Zone of stamps without offset.")]
ColumnNames = Annotated[str, typer.Option("--columns", help="unique_id=meter,ds=time,y=load.")]
NWindows = Annotated[
    int | None, typer.Option(min=1, help="Backtest windows a series; by default 8, or fewer.")
]
Step = Annotated[int | None, typer.Option(min=1, help="Steps between windows.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the fits.")]
Threads = Annotated[
    int | None, typer.Option(min=0, help="Threads of the fits, by default 1; 0: torch's choice.")
]


def fit_options(**said: Any) -> Options:
    """Options as they were said; comma-separated text becomes tuples."""
    from training.columns import numbers, words  # noqa: PLC0415
    from training.jobs.options import Options  # noqa: PLC0415

    cell: CellChoice | None = said.pop("cell")
    season: str | None = said.pop("season")
    for role in ("hist_exog", "futr_exog", "stat_exog"):
        said[role] = None if said[role] is None else words(said[role])
    given = {name: value for name, value in said.items() if value is not None}
    cells = cell.cells if cell else None
    return Options(**given, cells=cells, season=None if season is None else numbers(season))


def print_json(value: Any) -> None:
    """Print a value for scripts."""
    typer.echo(json.dumps(value, indent=2))
