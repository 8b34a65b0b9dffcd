"""One way in: a file, a database or a frame to a panel."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from models import zones
from models.aliases import read_alias
from training.panel import Panel

from . import across, long, wide
from .faults import SourceError
from .files import read_file, shape_of
from .frames import ArrowFrame, read_frame
from .sql import is_url, read_query, read_url
from .table import COLUMNS, Columns, Roles, Shape, Table


def load(
    source: str | Path,
    *,
    freq: str | None = None,
    timezone: str | None = None,
    columns: Columns = COLUMNS,
    hist_exog: tuple[str, ...] = (),
    futr_exog: tuple[str, ...] = (),
    stat_exog: tuple[str, ...] = (),
    shape: Shape = "auto",
    query: str | None = None,
    min_length: int = 1,
) -> Panel:
    """Read the series of a CSV file (gzipped or not), a Parquet file, or a database's answer.

    freq: an alias as in `models.aliases`; None reads it off the stamps.
    timezone: IANA name that stamps without offset are read in, and days begin in; None is a typed
        column's own, or UTC.
    hist_exog, futr_exog, stat_exog: columns of covariates known up to now, known ahead, and of the
        series. Rows that follow the last y and know a futr_exog are kept as the future.
    shape: "long" has a row an observation, "wide" a row a series, on counted steps, "across" a row
        a step and a column a series.
    query: what to ask where `source` is a database: `postgresql://user@host/name` or
        `sqlite:///path`, which may also carry it as `?query=SELECT…`.
    min_length: fewest steps a series may have.

    Raises SourceError for what cannot be read, and DataError, one of them, which names each fault
    of the data by series and row. Missing steps are no fault: they are NaN, and `describe` counts
    them.
    """
    roles = Roles(columns, tuple(hist_exog), tuple(futr_exog), tuple(stat_exog))
    _check_time(freq, timezone)
    if isinstance(source, str) and is_url(source):
        table = read_query(read_url(source, query))
        found = shape_of(table.frame.columns, roles, shape)
    elif query is not None:
        raise SourceError("a query is for databases: postgresql://… or sqlite:///…")
    elif "://" in str(source):
        raise SourceError(
            f"{str(source).partition('://')[0]}:// is no source: a file, postgresql or sqlite"
        )
    else:
        table, found = read_file(Path(source), roles, shape)
    return _panel(table, found, roles, freq=freq, timezone=timezone, min_length=min_length)


def load_frame(
    frame: pl.DataFrame | pl.LazyFrame | ArrowFrame,
    *,
    freq: str | None = None,
    timezone: str | None = None,
    columns: Columns = COLUMNS,
    hist_exog: tuple[str, ...] = (),
    futr_exog: tuple[str, ...] = (),
    stat_exog: tuple[str, ...] = (),
    shape: Shape = "auto",
    name: str = "series",
    min_length: int = 1,
) -> Panel:
    """Read the series of a frame of Polars, pandas or pyarrow, as `load` does those of a file.

    name: of the one series, where no column tells.
    """
    roles = Roles(columns, tuple(hist_exog), tuple(futr_exog), tuple(stat_exog))
    _check_time(freq, timezone)
    read = read_frame(frame)
    found = shape_of(read.columns, roles, shape)
    return _panel(
        Table(read, name), found, roles, freq=freq, timezone=timezone, min_length=min_length
    )


def _check_time(freq: str | None, timezone: str | None) -> None:
    try:
        if freq is not None:
            read_alias(freq)
        if timezone is not None:
            zones.check(timezone)
    except ValueError as error:
        raise SourceError(str(error)) from None


def _panel(
    table: Table,
    shape: Shape,
    roles: Roles,
    *,
    freq: str | None,
    timezone: str | None,
    min_length: int,
) -> Panel:
    if shape != "wide":
        to_panel = across.to_panel if shape == "across" else long.to_panel
        return to_panel(table, roles, freq=freq, timezone=timezone, min_length=min_length)
    if roles.exog:
        raise SourceError("a wide table has no covariates: use a long one, a row an observation")
    return wide.to_panel(table, freq=freq, min_length=min_length)
