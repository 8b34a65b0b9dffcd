"""A row a series, as the M4 competition has it: an id, then values until they end."""

from __future__ import annotations

import re

import numpy as np

from models.frequency import resolve
from models.timeline import Timeline
from training.panel import Panel, Series

from . import cells
from .faults import Faults, Origin, SourceError
from .table import Table

_NUMBERED = re.compile(r"(.*?)(\d+)")


def is_wide(names: list[str]) -> bool:
    """Whether columns after the first are numbered in a row, as V2, V3, V4 are."""
    matches = [_NUMBERED.fullmatch(name.strip()) for name in names[1:]]
    parts = [(match[1], int(match[2])) for match in matches if match]
    if not matches or len(parts) < len(matches):
        return False
    prefix, first = parts[0]
    return parts == [(prefix, first + k) for k in range(len(parts))]


def to_panel(table: Table, *, freq: str | None, min_length: int) -> Panel:
    """Series of a wide table, on counted steps from 1. Empty cells before the first value and after
    the last are no part of a series; those between are NaN.

    Raises DataError for text, infinities, ids that come twice, and series empty or too short.
    """
    frame = table.frame
    if frame.width < 2:
        raise SourceError("a wide table has an id and at least one value in a row")
    if not len(frame):
        raise SourceError("the source has no rows")
    ids = ["" if name is None else str(name) for name in frame.to_series(0)]
    numbers = np.arange(len(frame), dtype=np.int64) + table.first_row
    faults = Faults(Origin(tuple(ids), np.arange(len(frame)), numbers))
    rows_of: dict[str, int] = {}
    again = [bool(name) and rows_of.setdefault(name, i) != i for i, name in enumerate(ids)]
    key = frame.columns[0]
    faults.rows(np.array([not name for name in ids]), key, lambda _: "is missing")
    faults.rows(
        np.array(again),
        key,
        lambda i: f"is there already, in row {numbers[rows_of[ids[i]]]}",
    )
    values = np.stack([cells.numbers(frame[name], faults) for name in frame.columns[1:]], axis=1)
    faults.check()

    observed = ~np.isnan(values)
    first, last = observed.argmax(axis=1), values.shape[1] - 1 - observed[:, ::-1].argmax(axis=1)
    length = last - first + 1
    none = np.logical_not(observed.any(axis=1))
    faults.rows(none, key, lambda _: "has no observed value")
    faults.rows(
        (length < min_length) & ~none,
        key,
        lambda i: f"is {length[i]} long: at least {min_length} steps are needed",
    )
    faults.check()
    series = (
        Series(
            unique_id=name,
            start=a + 1,
            y=row[a : b + 1].copy(),
            hist_exog=np.zeros((b - a + 1, 0)),
            futr_exog=np.zeros((b - a + 1, 0)),
            stat_exog=np.zeros(0),
        )
        for name, row, a, b in zip(ids, values, first.tolist(), last.tolist(), strict=True)
    )
    timeline = Timeline(kind="integer", freq=resolve(freq or "1", np.zeros(0, np.int64)))
    return Panel(timeline, tuple(series))
