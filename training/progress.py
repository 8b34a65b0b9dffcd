"""A plan's progress for people: a bar a fit on a terminal, a line a look elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from training.pipeline import Report

_STAGES = {
    "backtest": "Backtesting",
    "register": "Logging and registering",
    "promote": "Choosing the champion",
}


@contextmanager
def shown(console: Console) -> Iterator[Callable[[Report], None]]:
    """Show reports on `console` until the block ends."""
    if not console.is_terminal:
        yield lambda report: _line(console, report)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<8}"),
        BarColumn(bar_width=28),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console) as bars:
        known: dict[str, TaskID] = {}
        best: dict[str, float] = {}

        def tell(report: Report) -> None:
            name, progress = report.candidate, report.progress
            if progress is None:
                _end_those_without_a_batch(bars)
            if report.stage != "fit" or name is None:
                bars.console.print(f"[bold]{_stage(report)}[/bold]")
                return
            if name not in known:
                known[name] = bars.add_task(name, total=None, facts="")
            if progress is None:
                return
            if progress.record is not None:
                valid = progress.record.valid_loss
                best[name] = min(valid, best.get(name, valid))
            facts = f"loss {progress.loss:.4f}"
            facts += f"  validation {best[name]:.4f}" if name in best else ""
            speed = bars.tasks[known[name]].speed
            facts += f"  {speed:.1f} batches/s" if speed else ""
            bars.update(known[name], completed=progress.batch, total=progress.batches, facts=facts)

        yield tell


def _end_those_without_a_batch(bars: Progress) -> None:
    """An ensemble is made of members that are fitted: it has no batches, and is there at once."""
    for bar in bars.tasks:
        if bar.total is None:
            bars.update(bar.id, total=1, completed=1)


def _line(console: Console, report: Report) -> None:
    progress = report.progress
    if progress is None:
        console.print(_stage(report), highlight=False)
    elif progress.record is not None:
        record = progress.record
        rate = record.step / record.seconds if record.seconds else 0.0
        left = (progress.batches - progress.batch) / rate if rate else 0.0
        console.print(
            f"  {report.candidate} {progress.batch}/{progress.batches}"
            f"  loss {progress.loss:.4f}  validation {record.valid_loss:.4f}"
            f"  {rate:.1f} batches/s  {left:.0f} s left",
            highlight=False,
            soft_wrap=True,
        )


def _stage(report: Report) -> str:
    if report.stage == "fit":
        return f"Fitting {report.candidate}"
    text = _STAGES[report.stage]
    return f"{text} {report.candidate}" if report.candidate else text
