"""Columns of a source to arrays: time stamps as written, counted steps, numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models import iso
from models.spec import MAX_CATEGORIES, MAX_NAME

from .faults import Faults

_CHUNK = 1 << 20
_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>")


@dataclass(frozen=True, slots=True)
class Categorised:
    """A column of words. places: (n,) float64, each row's place in `categories`, NaN where it holds
    nothing; categories: the words, in order."""

    places: NDArray[np.float64]
    categories: tuple[str, ...]


def categorised(column: pl.Series, faults: Faults) -> Categorised | None:
    """A column of categories; None for one of numbers, or of numbers with a few words among them.

    A column whose type says that it holds categories does, whatever they look like.
    """
    if not holds_words(column):
        return None
    words = _words(column.cast(pl.String))
    known = words.drop_nulls().unique().sort()
    if len(known) > MAX_CATEGORIES:
        found = f"holds {len(known)} different words"
        faults.column(column.name, f"{found}: at most {MAX_CATEGORIES} categories are learnt")
    long = (words.str.len_chars() > MAX_NAME).fill_null(value=False)
    reason = f"is longer than the {MAX_NAME} characters of a category"
    faults.rows(long.to_numpy(), column.name, lambda i: f"{_quoted(column[i])} {reason}")
    index = pl.int_range(len(known), eager=True)
    places = words.replace_strict(known, index, default=None, return_dtype=pl.Float64)
    array = places.fill_null(np.nan).to_numpy().astype(np.float64, copy=False)
    return Categorised(array, tuple(known.to_list()))


def holds_words(column: pl.Series) -> bool:
    """Whether a column holds words and no number, or its type says that it holds categories."""
    typed = column.dtype in (pl.Categorical, pl.Enum)
    if not typed and column.dtype != pl.String:
        return False
    known = _words(column.cast(pl.String)).drop_nulls().unique()
    return bool(len(known)) and (typed or not _numbers_in(known).is_not_null().any())


def numbers(column: pl.Series, faults: Faults) -> NDArray[np.float64]:
    """A column as float64, (n,), NaN where it holds nothing. Text and infinities are faults."""
    kind = column.dtype
    if kind == pl.String:
        values, bad = _written(column)
    elif kind.is_numeric() or kind in (pl.Boolean, pl.Null):
        values, bad = column.cast(pl.Float64), None
    else:
        faults.column(column.name, f"is of type {kind}: numbers are expected")
        return np.full(len(column), np.nan)
    array = values.fill_null(np.nan).to_numpy().astype(np.float64, copy=False)
    if bad is not None:
        faults.rows(bad, column.name, lambda i: f"{_quoted(column[i])} is no number")
    infinite = np.isinf(array)
    if infinite.any():
        faults.rows(infinite, column.name, lambda _: "is infinite")
    return array


def _written(column: pl.Series) -> tuple[pl.Series, NDArray[np.bool_]]:
    """Numbers, yes and no in words, and where there are none."""
    words = _words(column)
    values = _numbers_in(words)
    return values, (values.is_null() & words.is_not_null()).to_numpy()


def _words(column: pl.Series) -> pl.Series:
    words = column.str.strip_chars()
    return words.set(words.is_in(_MISSING), None)


def _numbers_in(words: pl.Series) -> pl.Series:
    truth = words.str.to_lowercase().replace_strict(
        {"true": 1.0, "false": 0.0}, default=None, return_dtype=pl.Float64
    )
    return words.cast(pl.Float64, strict=False).fill_null(truth)


def times(column: pl.Series, faults: Faults) -> iso.Stamps | NDArray[np.int64]:
    """A column of time stamps as written, or of counted steps, (n,)."""
    steps = counted(column, faults)
    return stamps(column, faults) if steps is None else steps


def counted(column: pl.Series, faults: Faults) -> NDArray[np.int64] | None:
    """A column of whole numbers as int64, (n,); None if it holds time stamps.

    The first value of a text column decides which it is.
    """
    missing = column.is_null().to_numpy()
    if column.dtype == pl.String:
        first = column.drop_nulls().head(1)
        if not len(first) or not first.str.contains(r"^\s*[+-]?\d+\s*$")[0]:
            return None
        values = column.str.strip_chars().cast(pl.Int64, strict=False)
    elif column.dtype.is_float() or column.dtype.is_decimal():
        real = column.cast(pl.Float64)
        whole = (real == real.round()) & real.is_finite() & (real.abs() <= 2**53)
        values = real.set(~whole.fill_null(value=True), None).cast(pl.Int64)
    elif column.dtype.is_integer():
        values = column.cast(pl.Int64, strict=False)
    else:
        return None
    bad = (values.is_null() & column.is_not_null()) | (values.abs() > 2**53).fill_null(value=False)
    faults.rows(missing, column.name, lambda _: "is missing")
    faults.rows(
        bad.to_numpy(),
        column.name,
        lambda i: f"{_quoted(column[i])} is no whole number, as others are",
    )
    steps = values.fill_null(0).to_numpy()
    if len(steps) and not (missing.any() or bad.any()) and _dates(steps):
        example = str(steps[0])
        faults.column(
            column.name,
            f"looks like dates written as {example}: "
            f"write {example[:4]}-{example[4:6]}-{example[6:]}, or count steps from 0",
        )
    return steps


def _dates(steps: NDArray[np.int64]) -> bool:
    """Whether whole numbers are years, months and days in a row of digits."""
    if steps.min() < 1800_01_01 or steps.max() > 2200_12_31:
        return False
    month, day = steps // 100 % 100, steps % 100
    return bool(((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all())


def stamps(column: pl.Series, faults: Faults) -> iso.Stamps:
    """A column of text, dates or times as stamps. Those not valid are left to the timeline."""
    missing = column.is_null().to_numpy()
    faults.rows(missing, column.name, lambda _: "is missing")
    kind = column.dtype
    if kind == pl.String:
        return _read(column.fill_null("").str.strip_chars(), missing)
    if kind == pl.Date:
        wall = column.cast(pl.Int32).cast(pl.Int64).fill_null(0).to_numpy() * iso.DAY
        aware = False
    elif isinstance(kind, pl.Datetime):
        if kind.time_unit == "ns":
            finer = (column.cast(pl.Int64) % 1000 != 0).fill_null(value=False).to_numpy()
            faults.rows(
                finer,
                column.name,
                lambda i: f"{column.slice(i, 1).cast(pl.String)[0]} is finer than a microsecond",
            )
        wall = column.dt.cast_time_unit("us").to_physical().fill_null(0).to_numpy()
        aware = kind.time_zone is not None
    else:
        faults.column(column.name, f"is of type {kind}: times or whole numbers are expected")
        wall, aware = np.zeros(len(column), np.int64), False
    n = len(wall)
    return iso.Stamps(wall, np.zeros(n, np.int64), np.full(n, aware), np.ones(n, bool))


def _read(column: pl.Series, missing: NDArray[np.bool_]) -> iso.Stamps:
    """Read text in chunks, so that the characters of few stamps are held at a time."""
    chunks = [iso.read(column[i : i + _CHUNK].to_list()) for i in range(0, len(column), _CHUNK)]
    wall, offset, aware, valid = (
        np.concatenate([getattr(chunk, part) for chunk in chunks] or [np.zeros(0, kind)])
        for part, kind in (
            ("wall", np.int64),
            ("offset", np.int64),
            ("aware", bool),
            ("valid", bool),
        )
    )
    return iso.Stamps(wall, offset, aware | (missing & aware.any()), valid | missing)


def text(column: pl.Series, index: int) -> str:
    """A cell for people."""
    value = column[index]
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(value: object) -> str:
    return repr(str(value)[:40])
