"""The data of a run, read once and kept: an attempt that goes on sees what the first one saw."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict

from models.holidays import Holidays
from models.timeline import Timeline
from training.panel import Panel, Series
from training.sources import SourceError, describe, digest

_DATA, _FACTS = "series.parquet", "snapshot.json"


class Snapshot(BaseModel):
    """What a snapshot holds, beside its numbers. digest: `training.sources.digest` of the panel."""

    model_config = ConfigDict(frozen=True)

    digest: str
    source: str
    timeline: Timeline
    hist_exog: tuple[str, ...]
    futr_exog: tuple[str, ...]
    stat_exog: tuple[str, ...]
    categories: dict[str, tuple[str, ...]] = {}
    holidays: Holidays | None = None
    n_series: int
    n_observations: int
    first: str | int
    last: str | int


def write_snapshot(folder: Path, panel: Panel, source: str) -> Snapshot:
    """Write a panel to a new folder, whole or not at all: a row a series, as Parquet."""
    facts = describe(panel)
    snapshot = Snapshot(
        digest=digest(panel),
        source=source,
        timeline=panel.timeline,
        hist_exog=panel.hist_exog,
        futr_exog=panel.futr_exog,
        stat_exog=panel.stat_exog,
        categories=dict(panel.categories),
        holidays=panel.holidays,
        n_series=facts.n_series,
        n_observations=facts.n_observations,
        first=facts.first,
        last=facts.last,
    )
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    _frame(panel).write_parquet(unfinished / _DATA)
    (unfinished / _FACTS).write_text(snapshot.model_dump_json(indent=2), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)
    return snapshot


def read_snapshot(folder: Path) -> tuple[Panel, Snapshot] | None:
    """What `write_snapshot` wrote; None for none. Raises SourceError where it altered."""
    try:
        text = (folder / _FACTS).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        snapshot = Snapshot.model_validate_json(text)
        panel = _panel(pl.read_parquet(folder / _DATA), snapshot)
    except (ValueError, OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(f"the snapshot {folder} cannot be read: {error}") from None
    if digest(panel) != snapshot.digest:
        raise SourceError(f"the snapshot {folder} is not what was written: remove it")
    return panel, snapshot


def prune_snapshots(root: Path, keep: set[int], mine: set[int]) -> None:
    """Remove those snapshots of `mine` (runs of one task) that are not to be kept."""
    for run in mine - keep:
        shutil.rmtree(root / str(run), ignore_errors=True)


def _frame(panel: Panel) -> pl.DataFrame:
    starts = [
        s.start if isinstance(s.start, int) else int(s.start.astype("M8[us]").astype(np.int64))
        for s in panel.series
    ]
    columns: dict[str, Any] = {
        "unique_id": [series.unique_id for series in panel.series],
        "start": pl.Series(starts, dtype=pl.Int64),
        "known": [series.futr_exog.shape[0] for series in panel.series],
    }
    for name in ("y", "hist_exog", "futr_exog", "stat_exog"):
        flat = [getattr(series, name).ravel().tolist() for series in panel.series]
        columns[name] = pl.Series(flat, dtype=pl.List(pl.Float64))
    return pl.DataFrame(columns)


def _panel(frame: pl.DataFrame, snapshot: Snapshot) -> Panel:
    series = []
    timed = snapshot.timeline.kind == "time"
    for row in frame.iter_rows(named=True):
        numbers = {
            name: np.array(row[name], dtype=np.float64)
            for name in ("y", "hist_exog", "futr_exog", "stat_exog")
        }
        steps = {"hist_exog": numbers["y"].size, "futr_exog": row["known"]}
        for name, length in steps.items():
            numbers[name] = numbers[name].reshape(length, len(getattr(snapshot, name)))
        start: Any = np.datetime64(row["start"], "us") if timed else row["start"]
        series.append(Series(row["unique_id"], start, **numbers))
    return Panel(
        snapshot.timeline,
        tuple(series),
        snapshot.hist_exog,
        snapshot.futr_exog,
        snapshot.stat_exog,
        snapshot.categories,
        snapshot.holidays,
    )
