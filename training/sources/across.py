"""A column a series, as sensors are often kept: a row holds what all of them showed at one step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from training.panel import Panel

from . import cells
from .clock import Rows, Settled, settle
from .faults import Faults, Origin, SourceError
from .grid import Values, regular
from .table import Roles, Table, listed


def to_panel(
    table: Table, roles: Roles, *, freq: str | None, timezone: str | None, min_length: int
) -> Panel:
    """Series of a table that has stamps, covariates that all series share, and a column a series.

    Each series goes from its first observed value to its last; an empty cell is NaN. Raises
    DataError, and SourceError for columns that are not there.
    """
    shared, names = roles.across(table.frame.columns)
    frame, number = table.written(shared + names)
    ds = frame[roles.columns.ds]
    _check_words(frame, names, roles)

    one = Origin(("",), np.zeros(len(frame), np.int64), number)
    faults = Faults(one)
    read = cells.times(ds, faults)
    y = _stack(frame, names, faults)  # (n, series)
    hist, futr = (_stack(frame, each, faults) for each in (roles.hist_exog, roles.futr_exog))
    settled = settle(Rows(one, ds, faults), read, freq=freq, timezone=timezone)

    k = len(names)
    each = Origin(tuple(names), np.repeat(np.arange(k), len(frame)), np.tile(number, k))
    values = Values(
        y=y.T.ravel(),
        hist=np.tile(hist, (k, 1)),
        futr=np.tile(futr, (k, 1)),
        stat=np.zeros((k * len(frame), 0)),
    )
    series = regular(
        Rows(each, ds, Faults(each)),
        roles,
        Settled(settled.timeline, np.repeat(settled.start, k), np.tile(settled.steps, k)),
        values,
        {},
        min_length=min_length,
    )
    return Panel(settled.timeline, series, roles.hist_exog, roles.futr_exog)


def _check_words(frame: pl.DataFrame, names: list[str], roles: Roles) -> None:
    """Refuse columns of words, which name something; a word among numbers is told by its row."""
    worded = [name for name in names if cells.holds_words(frame[name])]
    if worded:
        raise SourceError(
            f"column {listed(worded)} holds words. Without a column {roles.columns.y!r} each "
            f"column but {roles.columns.ds!r} is a series; where one names the series and another "
            "holds the values, tell them by --columns unique_id=NAME,y=NAME"
        )


def _stack(frame: pl.DataFrame, names: Sequence[str], faults: Faults) -> NDArray[np.float64]:
    """(n, len(names))"""
    columns = [cells.numbers(frame[name], faults) for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((len(frame), 0))
