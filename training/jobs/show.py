"""A run's log and progress on a terminal, as they grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from store.runs import Run


@contextmanager
def shown(console: Console) -> Iterator[Callable[[Run], None]]:
    """Print what is new of a run's log at each look; a bar below it on a terminal."""
    seen: list[str] = []

    def lines(run: Run) -> list[str]:
        log = run.log.splitlines()
        fresh = log[log.index(seen[-1]) + 1 :] if seen and seen[-1] in log else log
        seen[:] = log or seen
        return fresh

    if not console.is_terminal:

        def plain(run: Run) -> None:
            for line in lines(run):
                console.print(line, highlight=False, soft_wrap=True, markup=False)

        yield plain
        return
    columns = (
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=28),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("queued", total=1.0)

        def tell(run: Run) -> None:
            for line in lines(run):
                bar.console.print(line, highlight=False, soft_wrap=True, markup=False)
            stage = run.stage if run.status == "running" and run.stage else run.status
            bar.update(task, completed=run.progress, description=stage)

        yield tell
