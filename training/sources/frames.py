"""Frames of other libraries as frames of Polars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import polars as pl

from .faults import SourceError
from .table import column


class ArrowFrame(Protocol):
    """A frame that others can read: of pandas, pyarrow, DuckDB …"""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> Any:
        """Arrow's stream of record batches."""


@runtime_checkable
class _Pandas(ArrowFrame, Protocol):
    """What is asked of a frame of pandas, which need not be installed."""

    columns: Iterable[Any]
    index: Any

    def reset_index(self) -> Any: ...
    def __getitem__(self, name: Any) -> Any: ...


def read_frame(frame: pl.DataFrame | pl.LazyFrame | ArrowFrame) -> pl.DataFrame:
    """A frame of Polars; the named index of one of pandas becomes columns.

    Raises SourceError for what is no frame.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, _Pandas):
        named = any(name is not None for name in frame.index.names)
        return _read_pandas(frame.reset_index() if named else frame)
    try:
        return pl.DataFrame(frame)
    except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
        raise SourceError(f"the frame cannot be read: {error}") from error


def _read_pandas(frame: _Pandas) -> pl.DataFrame:
    try:
        return pl.DataFrame(frame)
    except (TypeError, ValueError, pl.exceptions.PolarsError):
        # A column of objects of no one type: Arrow will not have it, and does not say which row.
        return pl.DataFrame([column(str(name), frame[name].tolist()) for name in frame.columns])
