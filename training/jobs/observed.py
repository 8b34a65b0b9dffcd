"""A task's own observation log as a panel: what its streams were told is what is learnt from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson
import polars as pl

from models.spec import Spec
from models.timeline import Timeline
from store.database import Database
from store.log import Rows, rows_after
from store.streams import Stream, list_streams
from training.panel import Panel
from training.sources import SourceError, load_frame

_PAGE = 500
"""Streams that are read in one statement."""


def observed_panel(database: Database, task: str, spec: Spec | None) -> Panel:
    """Every stream of a task, open or closed, as a series, with the covariates of `spec`.

    The log is read as it is at one moment. Streams on another timeline than the spec's, or than
    most streams' where there is no spec, are left out. A covariate of the future is known only up
    to the newest observation. Raises SourceError where nothing was observed, StoreError where the
    log cannot be read, and DataError for series that no forecaster can learn from.
    """
    names = () if spec is None else (*spec.hist_exog, *spec.futr_exog)
    stats = {} if spec is None else {name: name in spec.categories for name in spec.stat_exog}
    with database.reading() as connection:
        streams = list(_streams(connection, task))
        chosen = _timeline(task, streams, spec)
        timeline = Timeline.model_validate_json(chosen)
        frames = []
        fitting = iter([stream for stream in streams if stream.timeline == chosen])
        while page := list(islice(fitting, _PAGE)):
            found = rows_after(connection, {stream.id: None for stream in page})
            frames += [
                _frame(stream, found[stream.id], timeline, names, stats)
                for stream in page
                if len(found[stream.id])
            ]
    if not frames:
        raise SourceError(f"the streams of task {task!r} have no observations")
    return load_frame(
        pl.concat(frames),
        freq=timeline.freq if timeline.freq != "1" else None,
        timezone=timeline.timezone if timeline.kind == "time" else None,
        hist_exog=() if spec is None else spec.hist_exog,
        futr_exog=() if spec is None else spec.futr_exog,
        stat_exog=tuple(stats),
        shape="long",
    )


def _streams(connection: Any, task: str) -> Iterator[Stream]:
    after: str | None = None
    while page := list_streams(connection, task, after=after, limit=_PAGE):
        yield from page
        after = page[-1].unique_id


def _timeline(task: str, streams: list[Stream], spec: Spec | None) -> str:
    counted = Counter(stream.timeline for stream in streams)
    if spec is not None and (wanted := spec.timeline.model_dump_json()) in counted:
        return wanted
    if spec is not None or not counted:
        raise SourceError(
            f"task {task!r} has no streams of its champion's frequency: nothing was observed"
        )
    return counted.most_common(1)[0][0]


def _frame(
    stream: Stream, rows: Rows, timeline: Timeline, names: tuple[str, ...], stats: dict[str, bool]
) -> pl.DataFrame:
    """The rows of a stream. stats: whether each covariate that never changes is a category."""
    clock = rows.ds if timeline.kind == "integer" else rows.ds.astype("M8[us]")
    columns: dict[str, Any] = {
        "unique_id": [stream.unique_id] * len(rows),
        "ds": timeline.format(clock),
        "y": pl.Series(rows.y, dtype=pl.Float64).fill_nan(None),
    }
    if names:
        known = [{} if text is None else orjson.loads(text) for text in rows.exog]
        for name in names:
            columns[name] = pl.Series([each.get(name) for each in known], dtype=pl.Float64)
    said = {} if stream.stat is None else orjson.loads(stream.stat)
    for name, category in stats.items():
        value = said.get(name)
        value = value if isinstance(value, str) == category else None  # said to another version
        kind = pl.Categorical if category else pl.Float64
        columns[name] = pl.Series([value] * len(rows), dtype=kind)
    return pl.DataFrame(columns)
