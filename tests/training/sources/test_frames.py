"""Frames of other libraries, with the habits that they have."""

from __future__ import annotations

import pandas as pd
import polars as pl
import pytest

from training.sources import DataError, SourceError, digest, load_frame

_FRAME = pd.DataFrame(
    {
        "unique_id": ["a", "a", "b", "b"],
        "ds": pd.to_datetime(["2024-01-01", "2024-01-02"] * 2),
        "y": [1.0, 2.0, 3.0, float("nan")],
    }
)


@pytest.mark.parametrize(
    "frame",
    [
        _FRAME.set_index("unique_id"),
        _FRAME.set_index(["unique_id", "ds"]),
        _FRAME.set_index(_FRAME.index + 7),
        _FRAME.astype({"y": object, "unique_id": "category"}),
        _FRAME.convert_dtypes(),
    ],
)
def test_an_index_of_pandas_is_columns_and_its_types_do_not_matter(frame: pd.DataFrame) -> None:
    panel = load_frame(frame)
    assert [s.unique_id for s in panel.series] == ["a", "b"]
    assert digest(panel) == digest(load_frame(pl.from_pandas(_FRAME)))


def test_faults_among_objects_are_named() -> None:
    frame = _FRAME.astype({"y": object})
    frame.loc[1, "y"] = "two"
    with pytest.raises(DataError, match="series 'a', row 2, column 'y': 'two' is no number"):
        load_frame(frame)
    frame = _FRAME.astype({"ds": object})
    frame.loc[1, "ds"] = "soon"
    with pytest.raises(
        DataError, match="series 'a', row 2, column 'ds': 'soon' is no ISO 8601 time"
    ):
        load_frame(frame)


def test_one_series_has_the_name_it_is_given() -> None:
    panel = load_frame(_FRAME.head(2).drop(columns="unique_id"), name="load")
    assert [s.unique_id for s in panel.series] == ["load"]


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(SourceError, match="the frame cannot be read"):
        load_frame(object())  # type: ignore[arg-type] # as a notebook might
