"""Options of the command line that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="CSV or Parquet file, or postgresql://… or sqlite:///… with --query."
    ),
]
Query = Annotated[str | None, typer.Option(help="SQL to run where DATA is a database.")]
ColumnNames = Annotated[
    str,
    typer.Option(
        "--columns",
        help="Names of columns: unique_id=meter,ds=time,y=load. Without y, each is a series.",
    ),
]
Which = Annotated[str, typer.Option("--version", help="A version's number or an alias.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write instead of printing.")
]
Task = Annotated[str, typer.Option(help="Name of the task: the registered model.")]
Freq = Annotated[
    str | None, typer.Option(help="Frequency: h, 15min, D, W, MS …; read off the stamps.")
]
Season = Annotated[
    str | None, typer.Option(help="Season lengths in steps: 24,168; by default freq's.")
]
Timezone = Annotated[
    str | None, typer.Option(help="Zone of stamps without offset, and of days; UTC.")
]
HistExog = Annotated[str, typer.Option(help="Columns known up to now: a,b.")]
FutrExog = Annotated[str, typer.Option(help="Columns known ahead too: a,b.")]
StatExog = Annotated[str, typer.Option(help="Columns constant in a series, numbers or words: a,b.")]
Holidays = Annotated[
    str | None, typer.Option(help="Public holidays that are known ahead, of a place: DE, DE-BY.")
]
NWindows = Annotated[int, typer.Option(min=1, help="Backtest windows a series.")]
StepSize = Annotated[int | None, typer.Option(min=1, help="Steps between windows; the horizon.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed and threads, same weights.")]
