"""Rows of one observation each, in any order of series, to series on a regular grid."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.spec import MAX_ALL_CATEGORIES
from training.panel import Panel

from . import cells
from .clock import Rows, settle
from .faults import DataError, Fault, Faults, Origin, SourceError
from .grid import Values, regular
from .table import Roles, Table


def to_panel(
    table: Table, roles: Roles, *, freq: str | None, timezone: str | None, min_length: int
) -> Panel:
    """Series of a long table. Raises DataError, and SourceError for columns that are not there."""
    wanted = roles.among(table.frame.columns)
    frame, origin = _by_series(*table.written(wanted), table.name, roles.columns.unique_id)
    ds = frame[roles.columns.ds]

    faults = Faults(origin)
    read = cells.times(ds, faults)
    columns, categories = {}, {}
    for name in roles.numbers:
        words = cells.categorised(frame[name], faults) if name in roles.stat_exog else None
        columns[name] = cells.numbers(frame[name], faults) if words is None else words.places
        if words is not None:
            categories[name] = words.categories
    rows = Rows(origin, ds, faults)
    settled = settle(rows, read, freq=freq, timezone=timezone)
    learnt = sum(len(known) for known in categories.values())
    if learnt > MAX_ALL_CATEGORIES:
        raise SourceError(
            f"the stat_exog hold {learnt} different words in all: at most {MAX_ALL_CATEGORIES} "
            "categories are learnt"
        )
    values = Values(
        y=columns[roles.columns.y],
        hist=_stack(columns, roles.hist_exog, len(frame)),
        futr=_stack(columns, roles.futr_exog, len(frame)),
        stat=_stack(columns, roles.stat_exog, len(frame)),
    )
    series = regular(rows, roles, settled, values, categories, min_length=min_length)
    names = (roles.hist_exog, roles.futr_exog, roles.stat_exog)
    return Panel(settled.timeline, series, *names, categories)


def _stack(
    columns: dict[str, NDArray[np.float64]], names: tuple[str, ...], n: int
) -> NDArray[np.float64]:
    return np.stack([columns[n] for n in names], axis=1) if names else np.zeros((n, 0))


def _by_series(
    frame: pl.DataFrame, number: NDArray[np.int64], name: str, unique_id: str | None
) -> tuple[pl.DataFrame, Origin]:
    """The rows, those of a series together and otherwise as they were.

    name: of the one series, where no column tells.
    """
    if unique_id is None or unique_id not in frame.columns:
        return frame, Origin((name,), np.zeros(len(frame), np.int64), number)

    names = frame[unique_id].cast(pl.String)
    nameless = (names.is_null() | (names == "")).fill_null(value=True).to_numpy()
    if nameless.any():
        first = number[nameless][:20].tolist()
        reason = "is missing: every row belongs to a series"
        raise DataError(
            tuple(Fault(None, row, unique_id, reason) for row in first), int(nameless.sum())
        )
    runs = names.rle().struct.unnest()
    ids = runs["value"].unique(maintain_order=True)
    index = pl.int_range(len(ids), eager=True)
    series = runs["value"].replace_strict(ids, index, return_dtype=pl.Int64).to_numpy()
    series = np.repeat(series, runs["len"].to_numpy())
    if len(ids) < len(runs):  # series whose rows are not together
        order = np.argsort(series, kind="stable")
        frame, number, series = frame[order], number[order], series[order]
    return frame, Origin(tuple(ids.to_list()), series, number)
