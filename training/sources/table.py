"""Rows as a source gave them, and the names of the columns that matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .faults import SourceError

Shape = Literal["auto", "long", "wide", "across"]
"""A row an observation, a row a series, or a row a step with a column a series; "auto" reads it off
the names of the columns."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns that make a series. Without a column `unique_id`, or with None, all rows
    are one series, named after the source."""

    unique_id: str | None = "unique_id"
    ds: str = "ds"
    y: str = "y"


COLUMNS = Columns()
"""Nixtla's names."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Every column that is read, and what for."""

    columns: Columns
    hist_exog: tuple[str, ...] = ()
    futr_exog: tuple[str, ...] = ()
    stat_exog: tuple[str, ...] = ()

    @property
    def exog(self) -> tuple[str, ...]:
        """Covariates: hist_exog, futr_exog, stat_exog."""
        return self.hist_exog + self.futr_exog + self.stat_exog

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns that hold numbers: y, then the covariates."""
        return (self.columns.y, *self.exog)

    def among(self, names: list[str]) -> list[str]:
        """The columns to read of those that a source has.

        Raises SourceError if one is missing, or named for two things.
        """
        wanted = [self.columns.ds, *self.numbers]
        unique_id = self.columns.unique_id
        if unique_id is not None and (unique_id in names or unique_id != COLUMNS.unique_id):
            wanted.insert(0, unique_id)
        self._check(wanted, names)
        return wanted

    def lies_across(self, names: list[str]) -> bool:
        """Whether a source with such columns has a column a series: stamps, but no value to look
        for by its name, and no series either."""
        columns = self.columns
        told = (columns.y, columns.unique_id) != (COLUMNS.y, COLUMNS.unique_id)
        if told or self.stat_exog or columns.y in names or columns.unique_id in names:
            return False
        return columns.ds in names and bool(self._series(names))

    def across(self, names: list[str]) -> tuple[list[str], list[str]]:
        """The columns that all series of a table with a column a series share, and the series.

        A column without a name, as row numbers are written by some, is none. Raises SourceError if
        one is missing or named for two things, none is left to be a series, or there is a covariate
        that only one series can have.
        """
        if self.stat_exog:
            raise SourceError("a column a series leaves no room for stat_exog: use a long table")
        shared = [self.columns.ds, *self.exog]
        self._check(shared, names)
        series = self._series(names)
        if not series:
            raise SourceError(f"no column is left to be a series: the source has {listed(names)}")
        return shared, series

    def _series(self, names: list[str]) -> list[str]:
        shared = (self.columns.ds, *self.exog)
        return [name for name in names if name.strip() and name not in shared]

    def _check(self, wanted: list[str], names: list[str]) -> None:
        twice = sorted({name for name in wanted if wanted.count(name) > 1})
        if twice:
            raise SourceError(f"column {twice[0]!r} is named for two things")
        missing = [name for name in wanted if name not in names]
        if not missing:
            return
        where = {self.columns.ds: "ds", self.columns.y: "y"}
        ways = [f"{where[name]}=NAME" for name in missing if name in where]
        hint = f"; tell it by --columns {','.join(ways)}" if ways else ""
        if self.columns.y in missing and len(names) > 1:
            hint += ", or ds=NAME alone where each other column is a series"
        raise SourceError(f"no column {listed(missing)}: the source has {listed(names)}{hint}")


@dataclass(frozen=True, slots=True)
class Table:
    """A frame as read. name: what to call its series if it names none; first_row: the number that a
    person gives the first row."""

    frame: pl.DataFrame
    name: str
    first_row: int = 1

    def written(self, wanted: list[str]) -> tuple[pl.DataFrame, NDArray[np.int64]]:
        """The rows that hold anything in the columns that are wanted, and their numbers, (n,).

        Raises SourceError where there are none.
        """
        frame = self.frame.select(wanted)
        number = np.arange(len(frame), dtype=np.int64) + self.first_row
        blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_numpy()
        if blank.any():
            frame, number = frame.filter(~blank), number[~blank]
        if not len(frame):
            raise SourceError("the source has no rows")
        return frame, number


def column(name: str, cells: list[Any]) -> pl.Series:
    """Cells as a column; those of no one type as text, so that each can be told right or wrong."""
    try:
        return pl.Series(name, cells)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, [None if cell is None else str(cell) for cell in cells], pl.String)


def listed(names: list[str], most: int = 30) -> str:
    """Names for people, no more than `most` of them."""
    some = ", ".join(repr(name) for name in names[:most])
    return some if len(names) <= most else f"{some} and {len(names) - most} more"
