"""One panel, whatever carries it."""

from __future__ import annotations

import sqlite3
import tempfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from models.timeline import Timeline
from tests.models.timelines import starts
from training.panel import Panel, Series
from training.sources import Columns, digest, load, load_frame

_IDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
_NUMBERS = st.floats(-1e12, 1e12) | st.integers(-5, 5).map(float)


@st.composite
def _panels(draw: st.DrawFn, kind: str = "time") -> Panel:
    freq = draw(st.sampled_from(["15min", "h", "D", "B", "W-SAT", "ME", "QS"]))
    zone = draw(st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]))
    timeline = Timeline.model_validate({"kind": kind, "freq": freq, "timezone": zone})
    return Panel(
        timeline,
        tuple(
            _series(draw, unique_id, draw(starts(timeline)) if kind == "time" else 1)
            for unique_id in draw(st.lists(_IDS, min_size=1, max_size=3, unique=True))
        ),
    )


def _series(draw: st.DrawFn, unique_id: str, start: np.datetime64 | int) -> Series:
    y = draw(st.lists(_NUMBERS | st.none(), max_size=8))
    values = np.array([draw(_NUMBERS), *y, draw(_NUMBERS)], np.float64)
    none = np.zeros((len(values), 0))
    return Series(unique_id, start, values, none, none, np.zeros(0))


def _long(panel: Panel, *, interleaved: bool) -> pl.DataFrame:
    """Its rows; a missing step has a row with an empty cell, or every third one none at all."""
    frames = []
    for series in panel.series:
        steps = np.arange(len(series))
        ds = panel.timeline.format(panel.timeline.at(series.start, steps))
        frame = pl.DataFrame({"step": steps, "ds": ds, "y": series.y}).fill_nan(None)
        kept = frame.filter(pl.col("y").is_not_null() | (pl.col("step") % 3 != 1))
        frames.append(kept.with_columns(unique_id=pl.lit(series.unique_id)))
    rows = pl.concat(frames)
    if interleaved:
        rows = rows.sort("step", maintain_order=True)
    return rows.select("unique_id", "ds", "y")


def _same(loaded: Panel, panel: Panel) -> bool:
    assert loaded.timeline == panel.timeline
    assert [s.unique_id for s in loaded.series] == [s.unique_id for s in panel.series]
    for ours, theirs in zip(loaded.series, panel.series, strict=True):
        assert ours.start == theirs.start
        np.testing.assert_array_equal(ours.y, theirs.y)
    return digest(loaded) == digest(panel)


@settings(max_examples=40, deadline=None)
@given(_panels(), st.booleans())
def test_csv_parquet_sqlite_and_frames_hold_one_panel(panel: Panel, interleaved: bool) -> None:
    rows = _long(panel, interleaved=interleaved)
    freq, timezone = panel.timeline.freq, panel.timeline.timezone
    read = partial(load, freq=freq, timezone=timezone)
    with tempfile.TemporaryDirectory() as folder:
        csv, zipped, parquet = (Path(folder) / name for name in ("a.csv", "a.csv.gz", "a.parquet"))
        rows.write_csv(csv)
        rows.write_csv(zipped, compression="gzip")
        rows.write_parquet(parquet)
        database = _sqlite(Path(folder) / "a.db", rows)
        assert _same(read(csv), panel)
        assert _same(read(zipped), panel)
        assert _same(read(parquet), panel)
        assert _same(read(database, query="SELECT * FROM series"), panel)
        assert _same(read(f"{database}?query=SELECT%20*%20FROM+series"), panel)
    for frame in (rows, rows.lazy(), rows.to_arrow(), rows.to_pandas()):
        assert _same(load_frame(frame, freq=freq, timezone=timezone), panel)


def _sqlite(path: Path, rows: pl.DataFrame) -> str:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE series (unique_id TEXT, ds TEXT, y REAL)")
    connection.executemany("INSERT INTO series VALUES (?, ?, ?)", rows.rows())
    connection.commit()
    connection.close()
    return f"sqlite:///{path}"


@settings(deadline=None)
@given(_panels(kind="integer"))
def test_wide_and_long_hold_one_panel(panel: Panel) -> None:
    panel = Panel(Timeline(kind="integer", freq=panel.timeline.freq), panel.series)
    width = max(len(series) for series in panel.series)
    cells = [
        [series.unique_id, *[None if np.isnan(v) else v for v in series.y.tolist()]]
        for series in panel.series
    ]
    wide = pl.DataFrame(
        [row + [None] * (width + 1 - len(row)) for row in cells],
        schema=["V1", *[f"V{k + 2}" for k in range(width)]],
        orient="row",
    ).with_columns(pl.all().exclude("V1").cast(pl.Float64))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wide.csv"
        wide.write_csv(path, quote_style="non_numeric")
        assert _same(load(path, freq=panel.timeline.freq), panel)
        _long(panel, interleaved=False).write_csv(path)
        assert _same(load(path, freq=panel.timeline.freq), panel)


@settings(deadline=None)
@given(_panels(), st.data())
def test_typed_columns_hold_what_text_does(panel: Panel, data: st.DataObject) -> None:
    rows = _long(panel, interleaved=False)
    instants = pl.Series([datetime.fromisoformat(ds).astimezone(UTC) for ds in rows["ds"]])
    typed = instants.dt.convert_time_zone(panel.timeline.timezone)
    if data.draw(st.booleans()):
        typed = typed.dt.cast_time_unit("ns")  # as pandas has it
    frame = rows.with_columns(ds=typed)
    assert _same(load_frame(frame, freq=panel.timeline.freq), panel)


def test_covariates_come_with_the_series_and_reach_beyond_it(tmp_path: Path) -> None:
    path = tmp_path / "shop.csv"
    path.write_text(
        "shop,day,sold,load,holiday,site\n"
        "a,2024-01-01,,9,0,7\n"  # before the first sale: no part of the series
        "a,2024-01-02,1,2,true,7\n"
        "a,2024-01-04,3,,FALSE,\n"
        "a,2024-01-05,NA,8,1,7\n"
        "a,2024-01-07,,,0,7\n"
        "a,2024-01-08,,,,7\n"
        "b,2024-01-04,5,6,1,8\n"
    )
    columns = Columns("shop", "day", "sold")
    roles: dict[str, Any] = {
        "hist_exog": ("load",),
        "futr_exog": ("holiday",),
        "stat_exog": ("site",),
    }
    panel = load(path, freq="D", columns=columns, **roles)
    a, b = panel.series
    assert (panel.hist_exog, panel.futr_exog, panel.stat_exog) == (
        ("load",),
        ("holiday",),
        ("site",),
    )
    assert a.start == np.datetime64("2024-01-02")
    np.testing.assert_array_equal(a.y, [1, np.nan, 3])
    np.testing.assert_array_equal(a.hist_exog, [[2], [np.nan], [np.nan]])
    np.testing.assert_array_equal(a.futr_exog[:, 0], [1, np.nan, 0, 1, np.nan, 0])
    np.testing.assert_array_equal(a.stat_exog, [7])
    assert (b.y.tolist(), b.futr_exog.tolist(), b.stat_exog.tolist()) == ([5], [[1]], [8])

    alone = load(path, freq="D", columns=columns)
    assert [s.futr_exog.shape for s in alone.series] == [(3, 0), (1, 0)]
