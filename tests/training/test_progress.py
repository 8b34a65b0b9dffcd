"""What people see of a plan while it is at work."""

from __future__ import annotations

import io

from rich.console import Console

from training.loop import Progress
from training.pipeline import Report
from training.progress import shown


def test_every_bar_ends_with_its_fit() -> None:
    """An ensemble has no batches of its own."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120)
    with shown(console) as tell:
        tell(Report("fit", "LSTM"))
        tell(Report("fit", "LSTM", Progress(batch=40, batches=40, loss=0.5, record=None)))
        tell(Report("fit", "LSTM+GRU"))
        tell(Report("backtest", "LSTM"))
    last_frame = text.getvalue().rpartition("LSTM ")[2]
    assert "LSTM+GRU" in last_frame
    assert last_frame.count("100%") == 2
