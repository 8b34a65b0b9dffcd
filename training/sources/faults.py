"""What is wrong with a source, named so that a person finds it: series, row, column, reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KEPT = 20
"""Faults that an error names; of the rest it tells the number."""


class SourceError(ValueError):
    """A source that cannot be read: no file, no table, no such column, no answer."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the data.

    series: its unique_id, None where the fault is the source's. row: as a person counts, the line
    of a text file (the header is line 1), or the first row is 1; None where all of it is meant.
    """

    series: str | None
    row: int | None
    column: str | None
    reason: str

    def __str__(self) -> str:
        places = [
            f"series {self.series!r}" if self.series is not None else "",
            f"row {self.row}" if self.row is not None else "",
            f"column {self.column!r}" if self.column is not None else "",
        ]
        place = ", ".join(filter(None, places))
        return f"{place}: {self.reason}" if place else self.reason


class DataError(SourceError):
    """Data that no forecaster may be fitted to. faults: the first 20; count: of all seen."""

    def __init__(self, faults: tuple[Fault, ...], count: int | None = None) -> None:
        self.faults = faults
        self.count = len(faults) if count is None else count
        lines = [f"{self.count} fault{'s' if self.count != 1 else ''} in the data"]
        lines += [f"  {fault}" for fault in faults]
        if self.count > len(faults):
            lines.append(f"  … and {self.count - len(faults)} more")
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Origin:
    """Where rows come from. ids: of the series; series: (n,) index into ids; number: (n,) as a
    person counts rows."""

    ids: tuple[str, ...]
    series: NDArray[np.int64]
    number: NDArray[np.int64]


class Faults:
    """Faults as they are met. One step of reading collects all of its own, then `check` raises."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._kept: list[Fault] = []
        self._count = 0

    def rows(self, bad: NDArray[np.bool_], column: str, reason: Callable[[int], str]) -> None:
        """Note the rows where `bad`, (n,). reason: of an index into them."""
        where = np.flatnonzero(bad)
        self._count += len(where)
        earliest = where[np.argsort(self._origin.number[where], kind="stable")[:KEPT]]
        for i in earliest.tolist():
            series = self._origin.ids[self._origin.series[i]] or None
            row = int(self._origin.number[i])
            self._kept.append(Fault(series, row, column, reason(i)))

    def series(self, bad: NDArray[np.bool_], column: str, reason: Callable[[int], str]) -> None:
        """Note the series where `bad`, (len(ids),)."""
        where = np.flatnonzero(bad)
        self._count += len(where)
        self._kept += [Fault(self._origin.ids[k], None, column, reason(k)) for k in where[:KEPT]]

    def column(self, column: str, reason: str) -> None:
        """Note what is wrong with a column as a whole."""
        self._count += 1
        self._kept.append(Fault(None, None, column, reason))

    def check(self) -> None:
        """Raise DataError if anything was noted."""
        if self._count:
            kept = sorted(self._kept, key=lambda fault: fault.row or 0)
            raise DataError(tuple(kept[:KEPT]), self._count)
