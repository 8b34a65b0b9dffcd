"""Tasks and comparisons as JSON, as CSV and as tables for a terminal."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, fields

from rich.table import Table
from rich.text import Text

from training.compare import Comparison, Row, Task
from training.scores import LOSSES, METRICS

_SIDE_BY_SIDE = 4
"""Versions that a terminal is wide enough for as columns; more are given a line each."""
_RATIOS = ("vs_seasonal_naive", "vs_auto_ets")
_NONE = "–"


def to_json(comparison: Comparison) -> str:
    """An object of `task`, `comparable`, `warnings` and `versions`, one object a version."""
    return json.dumps(
        {
            "task": comparison.task,
            "comparable": comparison.comparable,
            "warnings": comparison.warnings,
            "versions": [asdict(row) for row in comparison.rows],
        },
        indent=2,
        allow_nan=False,
    )


def to_csv(comparison: Comparison) -> str:
    """A header and a line a version; aliases joined by blanks, nothing where nothing is known."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = [field.name for field in fields(Row)]
    writer.writerow(names)
    for row in comparison.rows:
        values = asdict(row) | {"aliases": " ".join(row.aliases)}
        writer.writerow([values[name] for name in names])
    return buffer.getvalue()


def to_table(comparison: Comparison) -> Table:
    """For a terminal: a column a version if they are few, else a line; what is best in bold."""
    few = len(comparison.rows) <= _SIDE_BY_SIDE
    table = _columns(comparison) if few else _lines(comparison)
    table.title = f"Task {comparison.task}"
    table.title_style, table.title_justify = "bold", "left"
    if comparison.warnings:
        table.caption = Text("\n".join(comparison.warnings), style="yellow")
        table.caption_justify = "left"
    return table


def tasks_table(tasks: Sequence[Task]) -> Table:
    """For a terminal: a line a task."""
    table = Table("task", "versions", "champion", "challenger", "previous", "newest version")
    for task in tasks:
        numbers = (task.n_versions, task.champion, task.challenger, task.previous)
        texts = [_NONE if number is None else str(number) for number in numbers]
        table.add_row(task.task, *texts, _stamp(task.newest))
    return table


def tasks_json(tasks: Sequence[Task]) -> str:
    """An array of objects, one a task."""
    return json.dumps([asdict(task) for task in tasks], indent=2)


def _columns(comparison: Comparison) -> Table:
    rows = comparison.rows
    table = Table("")
    for row in rows:
        table.add_column("\n".join((f"version {row.version}", *row.aliases)), justify="right")
    table.add_row("cell", *(row.cell or _NONE for row in rows))
    table.add_row("parameters", *(_count(row.parameters) for row in rows))
    table.add_row("created", *(_stamp(row.created) for row in rows))
    table.add_row("data from", *(_stamp(row.first) for row in rows))
    table.add_row("data to", *(_stamp(row.last) for row in rows))
    table.add_row("data digest", *((row.digest or _NONE)[:12] for row in rows))
    table.add_row("windows digest", *((row.windows or _NONE)[:12] for row in rows))
    table.add_section()
    for metric in (*METRICS, *_RATIOS):
        table.add_row(metric.replace("_", " "), *_cells(comparison, metric))
    table.add_section()
    table.add_row("memory, steps", *(_count(row.memory) for row in rows))
    table.add_row("bundle, bytes", *(_count(row.bytes) for row in rows))
    table.add_row(f"a step, ms, {comparison.timed}", *(_short(row.step_ms) for row in rows))
    table.add_row(f"64 series, ms, {comparison.timed}", *(_short(row.batch_ms) for row in rows))
    table.add_row("fit, s", *(_short(row.fit_seconds) for row in rows))
    return table


def _lines(comparison: Comparison) -> Table:
    metrics = ("mase", "smape", "wql", "msis", "coverage_95", *_RATIOS)
    table = Table("version", "alias", "cell", "created")
    for metric in metrics:
        table.add_column(metric.replace("_", " "), justify="right")
    cells = [_cells(comparison, metric) for metric in metrics]
    for place, row in enumerate(comparison.rows):
        table.add_row(
            str(row.version),
            " ".join(row.aliases),
            row.cell or _NONE,
            _stamp(row.created),
            *(column[place] for column in cells),
        )
    return table


def _cells(comparison: Comparison, metric: str) -> list[Text]:
    """A metric of every version; the least of a loss in bold, if they compare."""
    values: list[float | None] = [getattr(row, metric) for row in comparison.rows]
    known = [value for value in values if value is not None]
    ranked = comparison.comparable and len(known) > 1 and metric in LOSSES
    best = min(known) if ranked else None
    return [
        Text(_NONE if value is None else f"{value:.4g}", style="bold" if value == best else "")
        for value in values
    ]


def _count(value: int | None) -> str:
    return _NONE if value is None else f"{value:,}".replace(",", " ")


def _short(value: float | None) -> str:
    return _NONE if value is None else f"{value:.3g}"


def _stamp(value: str | int | None) -> str:
    return _NONE if value is None else str(value)[:16].replace("T", " ")
