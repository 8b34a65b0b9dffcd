"""Every fault of the data is named, by series and by the row that a person finds in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from training.sources import Columns, DataError, Fault, SourceError, grid, load, load_frame

_HEADER = "unique_id,ds,y\n"


def _days(*days: int, y: str = "1") -> str:
    return "".join(f"a,2024-01-{day:02d},{y}\n" for day in days)


def _hours(count: int) -> str:
    return "".join(f"a,2024-01-01T{hour:02d}:00,1\n" for hour in range(count))


_FAULTS = {
    "duplicate": (
        _HEADER + _days(1, 2, 2),
        {},
        "series 'a', row 4, column 'ds': '2024-01-02' is there already, in row 3",
    ),
    "duplicate further up": (
        _HEADER + _days(1, 2) + "b,2024-01-01,1\n" + _days(1),
        {},
        "series 'a', row 5, column 'ds': '2024-01-01' is there already, in row 2",
    ),
    "disorder": (
        _HEADER + _days(1, 3, 2),
        {},
        "series 'a', row 4, column 'ds': '2024-01-02' comes after '2024-01-03': "
        "sort the rows of a series by time",
    ),
    "no time": (
        _HEADER + "a,2024-01-01,1\na,2024-02-30,1\n",
        {},
        "series 'a', row 3, column 'ds': '2024-02-30' is no ISO 8601 time",
    ),
    "time missing": (
        _HEADER + "a,2024-01-01,1\na,,1\n",
        {},
        "series 'a', row 3, column 'ds': is missing",
    ),
    "time too far": (
        _HEADER + "a,9999-12-31,1\na,2024-01-01,1\n",
        {},
        "series 'a', row 2, column 'ds': '9999-12-31' lies outside the years 1678 to 2261",
    ),
    "naive among aware": (
        _HEADER + "a,2024-01-01T00:00Z,1\na,2024-01-01T01:00,1\n",
        {},
        "series 'a', row 3, column 'ds': '2024-01-01T01:00' has an offset where others have none, "
        "or none where others have one",
    ),
    "hour that never came": (
        _HEADER + "a,2024-03-31 01:00,1\na,2024-03-31 02:00,1\n",
        {"timezone": "Europe/Berlin"},
        "series 'a', row 3, column 'ds': '2024-03-31 02:00' never came in Europe/Berlin, "
        "where the clock was put forward",
    ),
    "hour that came twice": (
        _HEADER + "a,2024-10-27 01:00,1\na,2024-10-27 02:00,1\na,2024-10-27 03:00,1\n",
        {"timezone": "Europe/Berlin"},
        "series 'a', row 3, column 'ds': '2024-10-27 02:00' comes twice in Europe/Berlin, "
        "where the clock was put back: write its offset from UTC",
    ),
    "hour written twice": (
        _HEADER + "a,2024-10-27 02:00,1\na,2024-10-27 02:00,1\na,2024-10-27 03:00,1\n",
        {"timezone": "Europe/Berlin"},
        "series 'a', row 3, column 'ds': '2024-10-27 02:00' comes twice where the clock was put "
        "back: write its offset from UTC",
    ),
    "text where a number belongs": (
        _HEADER + "a,2024-01-01,1\na,2024-01-02,1;5\n",
        {},
        "series 'a', row 3, column 'y': '1;5' is no number",
    ),
    "infinite": (
        _HEADER + "a,2024-01-01,1\na,2024-01-02,-inf\n",
        {},
        "series 'a', row 3, column 'y': is infinite",
    ),
    "text in a covariate": (
        "unique_id,ds,y,x\na,2024-01-01,1,2\nb,2024-01-01,1,wet\n",
        {"freq": "D", "hist_exog": ("x",)},
        "series 'b', row 3, column 'x': 'wet' is no number",
    ),
    "static covariate that changes": (
        "unique_id,ds,y,x\na,2024-01-01,1,\na,2024-01-02,1,2\na,2024-01-03,1,2.5\n",
        {"stat_exog": ("x",)},
        "series 'a', row 4, column 'x': is 2.5 after 2: it must not change within a series",
    ),
    "nothing observed": (
        _HEADER + "a,2024-01-01,1\nb,2024-01-01,\n",
        {"freq": "D"},
        "series 'b', column 'y': has no observed value",
    ),
    "too short": (
        _HEADER + "a,2024-01-01,1\na,2024-01-03,1\nb,2024-01-01,1\nb,2024-01-02,\n",
        {"freq": "D", "min_length": 3},
        "series 'b', column 'y': is 1 long: at least 3 steps are needed",
    ),
    "off the grid": (
        _HEADER + _hours(3) + "a,2024-01-01T03:20,1\n",
        {"freq": "h"},
        "series 'a', row 5, column 'ds': 2024-01-01T03:20:00+00:00 is not on the grid of h steps "
        "from 2024-01-01T00:00:00+00:00",
    ),
    "first row off the grid": (
        _HEADER + "a,2024-01-01T00:20,1\n" + _hours(5).partition("\n")[2],
        {"freq": "h"},
        "series 'a', row 2, column 'ds': 2024-01-01T00:20:00+00:00 is not on the grid of h steps "
        "from 2024-01-01T02:00:00+00:00",
    ),
    "not the weekday": (
        _HEADER + _days(7, 14, 22),
        {"freq": "W"},
        "series 'a', row 4, column 'ds': 2024-01-22T00:00:00+00:00 is not a Sunday, "
        "as W-SUN steps are",
    ),
    "mixed frequency": (
        _HEADER + _days(*range(1, 29)) + "a,2024-01-28T07:00,1\n",
        {},
        "series 'a', row 30, column 'ds': '2024-01-28T07:00' comes 7h after the row before it, "
        "where most come 1 day: one source has one frequency",
    ),
    "clocks are changed": (
        _HEADER + _days(*range(20, 31)) + "a,2024-01-30T23:00,1\n",
        {},
        "series 'a', row 13, column 'ds': '2024-01-30T23:00' comes 23h after the row before it, "
        "where most come 1 day: where clocks are changed, name the time zone",
    ),
    "coarser than said": (
        _HEADER + _days(*range(1, 12)),
        {"freq": "h"},
        "column 'ds': steps are 24 times h apart throughout: give a longer freq, or none",
    ),
    "seconds since 1970": (
        _HEADER + "".join(f"a,{1_700_000_000 + 3600 * k},1\n" for k in range(11)),
        {},
        "column 'ds': steps are 3600 apart throughout: count them one by one",
    ),
    "dates in digits": (
        _HEADER + "a,20240101,1\na,20240102,1\n",
        {},
        "column 'ds': looks like dates written as 20240101: "
        "write 2024-01-01, or count steps from 0",
    ),
    "time among counted steps": (
        _HEADER + "a,1,1\na,2024-01-02,1\n",
        {},
        "series 'a', row 3, column 'ds': '2024-01-02' is no whole number, as others are",
    ),
    "gap that no memory holds": (
        _HEADER + _hours(4) + "a,2124-01-01T00:00,1\n",
        {},
        "series 'a', row 6, column 'ds': comes 876573 steps after the row before it: "
        "is the stamp right, and the frequency?",
    ),
    "series without a name": (
        _HEADER + "a,2024-01-01,1\n,2024-01-02,1\n",
        {},
        "row 3, column 'unique_id': is missing: every row belongs to a series",
    ),
    "more cells than the header": (
        _HEADER + "a,2024-01-01,1\na,2024-01-02,1,5\n",
        {},
        "row 3: has 4 cells where the header has 3",
    ),
}


@pytest.mark.parametrize(("text", "options", "fault"), _FAULTS.values(), ids=_FAULTS)
def test_a_fault_is_named(tmp_path: Path, text: str, options: dict[str, Any], fault: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(DataError) as raised:
        load(path, **options)
    assert str(raised.value) == f"1 fault in the data\n  {fault}"
    assert [str(named) for named in raised.value.faults] == [fault]


def test_faults_of_one_kind_of_check_are_named_together(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(_HEADER + "b,2024-01-01,x\na,2024-01-01,inf\na,soon,1\nb,2024-01-02,y\n")
    with pytest.raises(DataError) as raised:
        load(path)
    assert raised.value.faults == (
        Fault("b", 2, "y", "'x' is no number"),
        Fault("a", 3, "y", "is infinite"),
        Fault("a", 4, "ds", "'soon' is no ISO 8601 time"),
        Fault("b", 5, "y", "'y' is no number"),
    )


def test_twenty_faults_are_named_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(_HEADER + "".join(f"s{k},2024-01-01,x\n" for k in range(500)))
    with pytest.raises(DataError) as raised:
        load(path)
    error = raised.value
    assert (len(error.faults), error.count) == (20, 500)
    assert [fault.row for fault in error.faults] == list(range(2, 22))
    assert str(error).startswith("500 faults in the data\n  series 's0', row 2, column 'y'")
    assert str(error).endswith("\n  … and 480 more")


def test_the_rows_of_a_frame_are_counted_from_one() -> None:
    frame = pl.DataFrame({"ds": [1, 2, 2], "y": [1.0, 2.0, 3.0]})
    with pytest.raises(
        DataError, match="series 'series', row 3, column 'ds': 2 is there already, "
    ):
        load_frame(frame)


def test_blank_lines_are_no_rows_but_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(_HEADER + "a,1,1\n\na,2,2\n\n")
    assert load(path).series[0].y.tolist() == [1, 2]
    path.write_text(_HEADER + "a,1,1\n\na,2,x\n")
    with pytest.raises(DataError, match="row 4, column 'y': 'x' is no number"):
        load(path)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"hist_exog": ("rain", "wind")},
            "no column 'rain', 'wind': the source has 'ds', 'y', 'x'",
        ),
        ({"columns": Columns(y="sales")}, "no column 'sales': the source has 'ds', 'y', 'x'"),
        ({"columns": Columns("shop")}, "no column 'shop': the source has 'ds', 'y', 'x'"),
        ({"hist_exog": ("x",), "futr_exog": ("x",)}, "column 'x' is named for two things"),
        ({"hist_exog": ("y",)}, "column 'y' is named for two things"),
        ({"freq": "fortnight"}, "unknown frequency 'fortnight'"),
        ({"timezone": "Mars"}, "'Mars' is no time zone"),
        ({"freq": "1"}, "freq '1' is for counted steps, and these are time stamps"),
        ({"query": "SELECT 1"}, "a query is for databases: postgresql://… or sqlite:///…"),
        ({}, "no series has two rows to read the frequency off: give freq"),
    ],
)
def test_what_cannot_be_asked_of_a_source_is_said(
    tmp_path: Path, options: dict[str, Any], reason: str
) -> None:
    path = tmp_path / "data.csv"
    path.write_text("ds,y,x\n2024-01-01,1,2\n")
    with pytest.raises(SourceError) as raised:
        load(path, **options)
    assert str(raised.value).startswith(reason)


@pytest.mark.parametrize(
    ("dtype", "column", "reason"),
    [
        (pl.Date, "y", "column 'y': is of type Date: numbers are expected"),
        (pl.Boolean, "ds", "column 'ds': is of type Boolean: times or whole numbers are expected"),
    ],
)
def test_a_column_of_the_wrong_type_is_one_fault(
    dtype: type[pl.DataType], column: str, reason: str
) -> None:
    frame = pl.DataFrame({"ds": [1, 2], "y": [1, 0]}).with_columns(pl.col(column).cast(dtype))
    with pytest.raises(DataError) as raised:
        load_frame(frame)
    assert str(raised.value) == f"1 fault in the data\n  {reason}"


def test_a_panel_that_memory_does_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "_MOST", 10)
    with pytest.raises(
        SourceError, match=r"^12 steps are more than memory holds: fit fewer series$"
    ):
        load_frame(pl.DataFrame({"ds": [1, 2, 12], "y": [1, 2, 3]}))
