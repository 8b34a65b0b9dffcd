"""Rows to series: every step of a series has a place, and a step without a row holds NaN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from models.timeline import Clock
from training.panel import Series

from .clock import Rows, Settled
from .faults import SourceError
from .table import Roles

_SPARSE = 10
"""Steps for each row that a series may have at most, and …"""
_SHORT = 100_000
"""… below so many steps it does not matter."""
_MOST = 1_000_000_000
"""Values on the grid of a whole panel: 8 GB."""


@dataclass(frozen=True, slots=True)
class Values:
    """The numbers of n rows: y (n,), hist, futr and stat (n, columns). NaN where there is none."""

    y: NDArray[np.float64]
    hist: NDArray[np.float64]
    futr: NDArray[np.float64]
    stat: NDArray[np.float64]


def regular(
    rows: Rows,
    roles: Roles,
    settled: Settled,
    values: Values,
    categories: Mapping[str, Sequence[str]],
    *,
    min_length: int,
) -> tuple[Series, ...]:
    """The series of sorted rows, each from its first observed value to its last.

    categories: the words that the values of a static covariate stand for, where they do.
    Rows after it that know a future covariate make that covariate longer than y. Raises DataError
    for series without a value, too short, or with a gap that no memory holds, and for static
    covariates that change.
    """
    series, starts = rows.origin.series, rows.starts
    observed = ~np.isnan(values.y)
    known = observed | ~np.isnan(values.futr).all(axis=1) if values.futr.size else observed
    first = _first(observed, starts)
    last, end = _last(observed, starts), _last(known, starts)

    empty = last < 0
    rows.faults.series(empty, roles.columns.y, lambda _: "has no observed value")
    rows.faults.check()
    base = settled.steps[first]
    length, extent = settled.steps[last] - base + 1, settled.steps[end] - base + 1
    rows.faults.series(
        length < min_length,
        roles.columns.y,
        lambda k: f"is {length[k]} long: at least {min_length} steps are needed",
    )
    _check_gaps(rows, settled, first, end, extent)
    stat = _static(rows, roles, values.stat, categories)
    rows.faults.check()
    columns = 1 + values.hist.shape[1] + values.futr.shape[1]
    if int(extent.sum()) * columns > _MOST:
        raise SourceError(f"{int(extent.sum())} steps are more than memory holds: fit fewer series")

    row = np.arange(len(series))
    kept = (row >= first[series]) & (row <= end[series])
    offset = np.cumsum(extent) - extent
    place = (offset - base)[series[kept]] + settled.steps[kept]

    def spread(column: NDArray[np.float64]) -> NDArray[np.float64]:
        whole = np.full((int(extent.sum()), *column.shape[1:]), np.nan)
        whole[place] = column[kept]
        return whole

    y, hist, futr = spread(values.y), spread(values.hist), spread(values.futr)
    clock = settled.timeline.at(settled.start, base)
    starts_at: list[Clock] = clock.tolist() if settled.timeline.kind == "integer" else list(clock)
    return tuple(
        Series(unique_id, start, y[o : o + t], hist[o : o + t], futr[o : o + e], stat[k])
        for k, (unique_id, start, o, t, e) in enumerate(
            zip(
                rows.origin.ids,
                starts_at,
                offset.tolist(),
                length.tolist(),
                extent.tolist(),
                strict=True,
            )
        )
    )


def _first(chosen: NDArray[np.bool_], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(series,) the first chosen row of each; len(chosen) if there is none."""
    row = np.where(chosen, np.arange(len(chosen)), len(chosen))
    least: NDArray[np.int64] = np.minimum.reduceat(row, starts)
    return least


def _last(chosen: NDArray[np.bool_], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(series,) the last chosen row of each; -1 if there is none."""
    most: NDArray[np.int64] = np.maximum.reduceat(
        np.where(chosen, np.arange(len(chosen)), -1), starts
    )
    return most


def _check_gaps(
    rows: Rows,
    settled: Settled,
    first: NDArray[np.int64],
    end: NDArray[np.int64],
    extent: NDArray[np.int64],
) -> None:
    """Refuse series that are nearly all gap: a stray stamp, or the wrong frequency."""
    sparse = extent > np.maximum(_SHORT, _SPARSE * (end - first + 1))
    widest = np.zeros(len(rows.origin.series), bool)
    for k in np.flatnonzero(sparse).tolist():
        gaps = np.diff(settled.steps[first[k] : end[k] + 1])
        widest[first[k] + 1 + int(gaps.argmax())] = True
    rows.faults.rows(
        widest,
        rows.ds.name,
        lambda i: (
            f"comes {settled.steps[i] - settled.steps[i - 1]} steps after the row before it: "
            "is the stamp right, and the frequency?"
        ),
    )


def _static(
    rows: Rows, roles: Roles, stat: NDArray[np.float64], categories: Mapping[str, Sequence[str]]
) -> NDArray[np.float64]:
    """(series, n_stat) the one value of each static covariate."""
    series, starts = rows.origin.series, rows.starts
    found = np.full((len(starts), stat.shape[1]), np.nan)
    for column, name in enumerate(roles.stat_exog):
        values = stat[:, column]
        first = _first(~np.isnan(values), starts)
        has = first < np.r_[starts[1:], len(values)]
        found[has, column] = values[first[has]]
        expected = found[series, column]
        reason = partial(_changed, values, expected, categories.get(name))
        rows.faults.rows(~np.isnan(values) & (values != expected), name, reason)
    return found


def _changed(
    values: NDArray[np.float64],
    expected: NDArray[np.float64],
    words: Sequence[str] | None,
    row: int,
) -> str:
    now, before = (
        f"{each[row]:g}" if words is None else repr(words[int(each[row])])
        for each in (values, expected)
    )
    return f"is {now} after {before}: it must not change within a series"
