"""Rows as a source gave them, and the names of the columns that matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from .faults import SourceError

Shape = Literal["auto", "long", "wide"]
"""A row an observation, or a row a series; "auto" reads it off the names of the columns."""


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
        twice = sorted({name for name in wanted if wanted.count(name) > 1})
        if twice:
            raise SourceError(f"column {twice[0]!r} is named for two things")
        missing = [name for name in wanted if name not in names]
        if missing:
            raise SourceError(f"no column {_listed(missing)}: the source has {_listed(names)}")
        return wanted


@dataclass(frozen=True, slots=True)
class Table:
    """A frame as read. name: what to call its series if it names none; first_row: the number that a
    person gives the first row."""

    frame: pl.DataFrame
    name: str
    first_row: int = 1


def column(name: str, cells: list[Any]) -> pl.Series:
    """Cells as a column; those of no one type as text, so that each can be told right or wrong."""
    try:
        return pl.Series(name, cells)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, [None if cell is None else str(cell) for cell in cells], pl.String)


def _listed(names: list[str], most: int = 30) -> str:
    listed = ", ".join(repr(name) for name in names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
