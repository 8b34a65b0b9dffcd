"""Files as people have them: separators, compression, wide tables, names of series."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.sources import Columns, DataError, Shape, SourceError, describe, load

_ROWS = "ds,y\n2024-01-01,1\n2024-01-02,2\n"


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("load.csv", "load"),
        ("my.load.CSV", "my.load"),
        ("load.csv.gz", "load"),
        ("load.txt", "load"),
    ],
)
def test_a_file_without_ids_is_one_series_named_after_it(
    tmp_path: Path, name: str, series: str
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(_ROWS.encode()) if name.endswith("gz") else _ROWS.encode())
    panel = load(path)
    assert [s.unique_id for s in panel.series] == [series]
    assert panel.timeline.freq == "D"


@pytest.mark.parametrize(("separator", "name"), [(";", "a.csv"), ("\t", "a.tsv"), ("|", "a.txt")])
def test_separators_are_read_off_the_header(tmp_path: Path, separator: str, name: str) -> None:
    path = tmp_path / name
    path.write_text("\ufeff" + _ROWS.replace(",", separator).replace("\n", "\r\n"))
    assert load(path).series[0].y.tolist() == [1, 2]


def test_columns_that_are_not_wanted_may_hold_anything(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('note,ds,y,y2\n"he said ""no"",\ntwice",2024-01-01,1,x\n,2024-01-02,2,\n')
    assert load(path, columns=Columns(None)).series[0].y.tolist() == [1, 2]


def test_ids_are_text_as_written(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("unique_id,ds,y\n007,1,1\nNA,1,1\n7,1,1\n007,2,2\n")
    panel = load(path)
    assert [s.unique_id for s in panel.series] == ["007", "NA", "7"]
    assert [s.y.tolist() for s in panel.series] == [[1, 2], [1], [1]]


def test_counted_steps_may_be_known_to_be_hours(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("ds,y\n3,1\n4,\n6,2\n")
    panel = load(path, freq="H")
    assert (panel.timeline.kind, panel.timeline.freq) == ("integer", "h")
    assert panel.series[0].start == 3
    np.testing.assert_array_equal(panel.series[0].y, [1, np.nan, np.nan, 2])


def test_a_wide_table_is_known_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text('"V1","V2","V3","V4","V5"\n"H1",1,,3,\n"H2",,5,6,7\n"H3",8,,,\n')
    panel = load(path, freq="hourly")
    assert (panel.timeline.kind, panel.timeline.freq) == ("integer", "h")
    assert [(s.unique_id, s.start) for s in panel.series] == [("H1", 1), ("H2", 2), ("H3", 1)]
    np.testing.assert_array_equal(panel.series[0].y, [1, np.nan, 3])
    assert [len(s) for s in panel.series] == [3, 3, 1]
    assert panel.series[0].hist_exog.shape == panel.series[0].futr_exog.shape == (3, 0)


@pytest.mark.parametrize("header", ["id,1,2", "id,d_8,d_9", "Series,V01,V02"])
@pytest.mark.parametrize("shape", ["auto", "wide"])
def test_numbered_columns_are_wide(tmp_path: Path, header: str, shape: Shape) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(f"{header}\na,1,2\n")
    assert load(path, shape=shape).series[0].y.tolist() == [1, 2]
    pl.read_csv(path).write_parquet(tmp_path / "wide.parquet")
    assert load(tmp_path / "wide.parquet", shape=shape).series[0].y.tolist() == [1, 2]


def test_a_shape_that_is_told_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,jan,feb\na,1,2\n")
    with pytest.raises(SourceError) as raised:
        load(path)
    assert str(raised.value) == (
        "no column 'ds', 'y': the source has 'id', 'jan', 'feb'; tell it by --columns "
        "ds=NAME,y=NAME, or ds=NAME alone where each other column is a series"
    )
    assert load(path, shape="wide").series[0].y.tolist() == [1, 2]
    path.write_text("V1,V2\na,1\n")
    with pytest.raises(SourceError, match="no column 'ds', 'y'"):
        load(path, shape="long")


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("a,1,2\nb,1,x\n", "series 'b', row 3, column 'V3': 'x' is no number"),
        ("a,1,inf\n", "series 'a', row 2, column 'V3': is infinite"),
        ("a,1,2\na,3,4\n", "series 'a', row 3, column 'V1': is there already, in row 2"),
        ("a,1,2\n,3,4\n", "row 3, column 'V1': is missing"),
        ("a,1,2\nb,,NA\n", "series 'b', row 3, column 'V1': has no observed value"),
        ("a,1,2\nb,1,\n", "series 'b', row 3, column 'V1': is 1 long: at least 2 steps are needed"),
        ("a,1,2,3\n", "row 2: has 4 cells where the header has 3"),
    ],
)
def test_a_fault_of_a_wide_table_is_named(tmp_path: Path, rows: str, fault: str) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(f"V1,V2,V3\n{rows}")
    with pytest.raises(DataError) as raised:
        load(path, min_length=2)
    assert str(raised.value) == f"1 fault in the data\n  {fault}"


def test_a_wide_table_has_no_covariates(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("V1,V2,V3\na,1,2\n")
    with pytest.raises(SourceError, match="a wide table has no covariates"):
        load(path, shape="wide", hist_exog=("V2",))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"", "{path} is empty"),
        ("a.csv", b"ds,y\n", "the source has no rows"),
        ("a.csv", b"V1,V2\n", "the source has no rows"),
        ("a.csv", b"ds,y\n\xff,1\n", "{path} cannot be read: "),
        ("a.csv", b"ds,ds,y\n1,2,3\n", "{path} has two columns 'ds'"),
        ("a.csv.gz", b"\x1f\x8b\x08", "{path} cannot be read: "),
        ("a.parquet", b"PAR1", "{path} cannot be read: "),
        ("a.xlsx", b"PK", "a.xlsx is of no known kind: .csv, .csv.gz, .tsv, .txt or .parquet"),
        ("a", b"ds,y\n", "a is of no known kind"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(SourceError) as raised:
        load(path)
    assert str(raised.value).startswith(reason.format(path=path))


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder: name one CSV or Parquet file in it"):
        load(tmp_path)
    with pytest.raises(SourceError, match=r"there is no file .*nothing\.csv"):
        load(tmp_path / "nothing.csv")
    with pytest.raises(SourceError, match="https:// is no source: a file, postgresql or sqlite"):
        load("https://example.org/a.csv")


def _data(name: str) -> Path:
    folder = os.environ.get("GATECAST_DATA")
    path = Path(folder or "", name)
    if folder is None or not path.is_file():
        pytest.skip(f"GATECAST_DATA has no {name}")
    return path


def test_m4_hourly_loads_as_it_is() -> None:
    facts = describe(load(_data("m4/Hourly-train.csv"), freq="h"))
    assert (facts.n_series, facts.n_observations, facts.missing) == (414, 353_500, 0)
    assert (facts.shortest, facts.longest, facts.first, facts.last) == (700, 960, 1, 960)


def test_ett_loads_as_it_is() -> None:
    loads = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL")
    panel = load(_data("ett/ETTh1.csv"), columns=Columns(ds="date", y="OT"), hist_exog=loads)
    facts = describe(panel)
    assert (facts.freq, facts.n_observations, facts.missing) == ("h", 17_420, 0)
    assert facts.first == "2016-07-01T00:00:00+00:00"
    assert facts.last == "2018-06-26T19:00:00+00:00"
    assert panel.series[0].unique_id == "ETTh1"
    assert panel.series[0].hist_exog.shape == (17_420, 6)


_TABLE = pl.DataFrame({"unique_id": ["a"] * 9, "ds": range(9), "y": [k / 2 for k in range(9)]})


def _bytes_of(kind: str) -> bytes:
    buffer = io.BytesIO()
    if kind == "parquet":
        _TABLE.write_parquet(buffer)
    else:
        _TABLE.write_csv(buffer)
    return buffer.getvalue()


@settings(deadline=None)
@given(
    st.sampled_from(["csv", "parquet"]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
    st.none() | st.integers(0, 10_000),
)
def test_a_damaged_file_is_an_error_of_ours_or_reads(
    kind: str, damage: list[tuple[int, int]], cut: int | None
) -> None:
    content = bytearray(_bytes_of(kind))
    for place, byte in damage:
        content[place % len(content)] = byte
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(SourceError):
        path = Path(folder) / f"damaged.{kind}"
        path.write_bytes(content if cut is None else content[: cut % len(content)])
        load(path)
