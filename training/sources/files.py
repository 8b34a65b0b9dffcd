"""CSV and Parquet files as tables. Only the columns that are wanted are read."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from .faults import KEPT, DataError, Fault, SourceError
from .table import Roles, Shape, Table
from .wide import is_wide

_TEXT = (".csv", ".tsv", ".txt")
_PARQUET = (".parquet", ".pq")
_SEPARATORS = ",;\t|"
_UNREADABLE = (
    pl.exceptions.PolarsError,
    pa.ArrowException,
    csv.Error,
    UnicodeDecodeError,
    EOFError,
    OSError,
)


def read_file(path: Path, roles: Roles, shape: Shape) -> tuple[Table, Shape]:
    """Read a file, and say what shape it has. Raises SourceError and DataError."""
    if path.is_dir():
        raise SourceError(f"{path} is a folder: name one CSV or Parquet file in it")
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    kind = (suffixes[-2:-1] if zipped else suffixes[-1:]) or [""]
    try:
        if kind[0] in _PARQUET and not zipped:
            return _read_parquet(path, roles, shape)
        if kind[0] in _TEXT:
            name = path.name[: -len("".join(path.suffixes[-1 - zipped :]))]
            return _read_csv(path, name, roles, shape)
    except _UNREADABLE as error:
        raise SourceError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    raise SourceError(f"{path.name} is of no known kind: .csv, .csv.gz, .tsv, .txt or .parquet")


def shape_of(names: list[str], roles: Roles, shape: Shape) -> Shape:
    """What shape a source has, read off the names of its columns where it is not told."""
    if shape != "auto":
        return shape
    if roles.lies_across(names):
        return "across"
    long = roles.columns.ds in names or roles.columns.y in names or bool(roles.exog)
    return "wide" if not long and is_wide(names) else "long"


def _wanted(names: list[str], roles: Roles, shape: Shape) -> list[str]:
    if shape == "wide":
        return names
    if shape == "across":
        shared, series = roles.across(names)
        return shared + series
    return roles.among(names)


def _read_parquet(path: Path, roles: Roles, shape: Shape) -> tuple[Table, Shape]:
    # Arrow's reader raises on a damaged file, where that of Polars takes the process with it.
    with pq.ParquetFile(path) as file:
        names = list(file.schema_arrow.names)
        shape = shape_of(names, roles, shape)
        wanted = _wanted(names, roles, shape)
        table = file.read(columns=wanted).replace_schema_metadata(None)
    table.validate(full=True)
    return Table(pl.DataFrame(table), path.stem), shape


def _read_csv(path: Path, name: str, roles: Roles, shape: Shape) -> tuple[Table, Shape]:
    with _opened(path) as lines:
        first = lines.readline()
    if not first.strip():
        raise SourceError(f"{path} is empty")
    separator = max(_SEPARATORS, key=first.count)
    names = next(csv.reader([first], delimiter=separator))
    shape = shape_of(names, roles, shape)
    wanted = _wanted(names, roles, shape)
    twice = next((name for name in wanted if names.count(name) > 1), None)
    if twice is not None and shape != "wide":
        raise SourceError(f"{path} has two columns {twice!r}")
    numeric = roles.numbers if shape == "long" else wanted[1:]
    try:
        frame = _parsed(path, separator, wanted, dict.fromkeys(numeric, pl.Float64))
    except pl.exceptions.ComputeError:  # a word among the numbers: read text, to say where
        try:
            frame = _parsed(path, separator, wanted, {})
        except pl.exceptions.ComputeError:
            _check_widths(path, separator, len(names))
            raise
    return Table(frame, name, first_row=2), shape


def _parsed(
    path: Path, separator: str, wanted: list[str], types: dict[str, type[pl.DataType]]
) -> pl.DataFrame:
    return pl.read_csv(
        path,
        separator=separator,
        columns=wanted,
        schema_overrides={name: types.get(name, pl.String) for name in wanted},
    )


def _check_widths(path: Path, separator: str, width: int) -> None:
    """Name the rows that have more cells than the header."""
    faults: list[Fault] = []
    count = 0
    with _opened(path) as lines:
        rows = csv.reader(lines, delimiter=separator)
        for cells in rows:
            if len(cells) > width:
                count += 1
                reason = f"has {len(cells)} cells where the header has {width}"
                faults += [Fault(None, rows.line_num, None, reason)] if count <= KEPT else []
    if faults:
        raise DataError(tuple(faults), count)


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with path.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    if zipped:
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as lines:
            yield lines
    else:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield lines
