"""A column a series: one stamp for all, covariates shared, each series as long as it was seen."""

from __future__ import annotations

import sqlite3
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.timeline import Timeline
from tests.models.timelines import starts
from training.panel import Panel
from training.sources import Columns, DataError, Shape, SourceError, digest, load, load_frame

_ROWS = "ds,north,south\n2024-01-01,1,\n2024-01-02,,5\n2024-01-03,3,6\n2024-01-04,4,\n"


def _expected(panel: Panel) -> None:
    assert [s.unique_id for s in panel.series] == ["north", "south"]
    assert [str(s.start)[:10] for s in panel.series] == ["2024-01-01", "2024-01-02"]
    np.testing.assert_array_equal(panel.series[0].y, [1, np.nan, 3, 4])
    np.testing.assert_array_equal(panel.series[1].y, [5, 6])
    assert panel.timeline.freq == "D"


def test_files_frames_and_databases_may_have_a_column_a_series(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(_ROWS)
    frame = pl.read_csv(path)
    frame.write_parquet(tmp_path / "a.parquet")
    with sqlite3.connect(tmp_path / "a.db") as database:
        database.execute("CREATE TABLE a (ds TEXT, north REAL, south REAL)")
        database.executemany("INSERT INTO a VALUES (?, ?, ?)", frame.rows())
    for panel in (
        load(path),
        load(tmp_path / "a.parquet"),
        load(f"sqlite:///{tmp_path / 'a.db'}", query="SELECT * FROM a ORDER BY ds"),
        load_frame(frame),
        load_frame(frame.to_pandas()),
    ):
        _expected(panel)


@given(st.data())
def test_it_holds_what_a_row_an_observation_does(data: st.DataObject) -> None:
    freq = data.draw(st.sampled_from(["15min", "h", "D", "B", "W-SAT", "ME", "QS"]))
    zone = data.draw(st.sampled_from(["UTC", "Europe/Berlin"]))
    timeline = Timeline.model_validate({"kind": "time", "freq": freq, "timezone": zone})
    first = data.draw(starts(timeline))
    cells = st.floats(-1e9, 1e9) | st.none()
    n, k = data.draw(st.integers(3, 9)), data.draw(st.integers(1, 3))
    y = [[data.draw(cells) for _ in range(n - 1)] + [1.0] for _ in range(k)]
    ds = timeline.format(timeline.at(first, np.arange(n)))
    series = [pl.Series(f"s{i}", values, pl.Float64) for i, values in enumerate(y)]
    table = pl.DataFrame([pl.Series("ds", ds), *series])
    long = table.unpivot(index="ds", variable_name="unique_id", value_name="y")
    ours, theirs = (load_frame(each, freq=freq, timezone=zone) for each in (table, long))
    assert ours.timeline == theirs.timeline
    assert digest(ours) == digest(theirs)


def test_covariates_are_those_of_all_series(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ds,warm,a,open,b\n1,20,1,1,\n2,21,2,0,8\n3,,3,1,9\n4,,,0,\n")
    panel = load(path, hist_exog=("warm",), futr_exog=("open",))
    assert (panel.hist_exog, panel.futr_exog) == (("warm",), ("open",))
    a, b = panel.series
    assert (a.unique_id, b.unique_id) == ("a", "b")
    np.testing.assert_array_equal(a.hist_exog[:, 0], [20, 21, np.nan])
    np.testing.assert_array_equal(b.hist_exog[:, 0], [21, np.nan])
    assert a.futr_exog[:, 0].tolist() == [1, 0, 1, 0]
    assert b.futr_exog[:, 0].tolist() == [0, 1, 0]


def test_the_column_of_time_may_have_another_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(_ROWS.replace("ds", "date"))
    _expected(load(path, columns=Columns(ds="date")))
    with pytest.raises(SourceError, match="or ds=NAME alone where each other column is a series"):
        load(path)


def test_a_column_without_a_name_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = _ROWS.splitlines()
    path.write_text("\n".join(["," + rows[0], *(f"{i},{row}" for i, row in enumerate(rows[1:]))]))
    _expected(load(path))


@pytest.mark.parametrize(
    "columns", [Columns(y="load"), Columns("meter"), Columns(None)], ids=["y", "unique_id", "one"]
)
def test_names_that_were_told_are_looked_for(tmp_path: Path, columns: Columns) -> None:
    path = tmp_path / "a.csv"
    path.write_text(_ROWS)
    with pytest.raises(SourceError, match="no column"):
        load(path, columns=columns)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ds,a,b\n1,1,2\n2,x,3\n", "row 3, column 'a': 'x' is no number"),
        ("ds,a,b\n1,1,2\n2,3,inf\n", "row 3, column 'b': is infinite"),
        ("ds,a,b\n1,1,2\n1,3,4\n", "row 3, column 'ds': '1' is there already, in row 2"),
        ("ds,a,b\n1,1,\n2,3,\n", "series 'b', column 'y': has no observed value"),
        ("ds,a,b\n1,1,1\n2,3,\n", "series 'b', column 'y': is 1 long: at least 2 steps are needed"),
    ],
)
def test_a_fault_is_named_once(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(DataError) as raised:
        load(path, min_length=2)
    assert str(raised.value) == f"1 fault in the data\n  {reason}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ds,town,load\n1,north,3\n1,south,4\n", "column 'town' holds words. Without a column 'y'"),
        ("ds,a,a\n1,1,1\n", "has two columns 'a'"),
        ("ds\n1\n", "no column 'y': the source has 'ds'; tell it by --columns y=NAME$"),
        ("ds,a\n", "the source has no rows"),
        ("ds,a\n2024-01-01,1\n2024-01-02,2,3\n", "row 3: has 3 cells where the header has 2"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(SourceError, match=reason):
        load(path)


@pytest.mark.parametrize("shape", ["auto", "across"])
def test_a_covariate_of_each_series_has_no_place(shape: Shape) -> None:
    frame = pl.DataFrame({"ds": [date(2024, 1, 1)], "a": [1.0], "size": [2.0]})
    with pytest.raises(SourceError, match="no column 'y'" if shape == "auto" else "no room for"):
        load_frame(frame, stat_exog=("size",), shape=shape)


def test_a_shape_that_is_told_needs_its_stamps() -> None:
    frame = pl.DataFrame({"a": [1.0], "b": [2.0]})
    with pytest.raises(SourceError, match="no column 'ds'"):
        load_frame(frame, shape="across")
    with pytest.raises(SourceError, match="no column is left to be a series: the source has 'ds'"):
        load_frame(pl.DataFrame({"ds": [1]}), shape="across")
    with pytest.raises(SourceError, match="column 'a' is named for two things"):
        load_frame(frame.with_columns(ds=1), hist_exog=("a",), futr_exog=("a",))
    series = load_frame(frame.with_columns(ds=1, y=3.0), shape="across").series
    assert [s.unique_id for s in series] == ["a", "b", "y"]
