"""What is printed of the service's answers: for people a line each, for programs JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from service.follow.posting import Result
from service.follow.rows import Row


def as_json(rows: Sequence[Row], results: Sequence[Result]) -> str:  # noqa: ARG001 - as `People`
    """The results as they are, a line each."""
    return "".join(orjson.dumps(each).decode() + "\n" for each in results)


class People:
    """A line for each stream of a request: its newest observation, and the forecast after it.

    level: of the interval that is shown.
    """

    def __init__(self, level: float) -> None:
        tail = (100 - level) / 200
        self._bounds = (f"lo-{level:g}", f"hi-{level:g}")
        self._quantiles = (f"{tail:g}", f"{round(1 - tail, 12):g}")

    def __call__(self, rows: Sequence[Row], results: Sequence[Result]) -> str:
        """The lines of what was taken."""
        newest: dict[str, tuple[Row, Result]] = {}
        taken: dict[str, int] = {}
        for row, result in zip(rows, results, strict=True):
            if result["status"] == 200:
                newest.pop(row.unique_id, None)  # so that lines are in the order of the newest
                newest[row.unique_id] = row, result
                taken[row.unique_id] = taken.get(row.unique_id, 0) + 1
        return "".join(
            self._line(row, result, taken[name] - 1) + "\n"
            for name, (row, result) in newest.items()
        )

    def _line(self, row: Row, result: Result, before: int) -> str:
        y = "null" if row.y is None else _number(row.y)
        words = [str(result["ds"]), row.unique_id, y, "→", self._forecast(result.get("forecast"))]
        missing = result.get("missing", 0)
        marks = [
            f"{missing} missing before it" if missing else "",
            *(mark for mark in ("duplicate", "late", "warming") if result.get(mark)),
            f"and {before:,} before it" if before else "",
        ]
        told = ", ".join(mark for mark in marks if mark)
        return "  ".join([*words, f"({told})"] if told else words)

    def _forecast(self, forecast: dict[str, Any] | None) -> str:
        """Each step with its interval, where the model has one."""
        if not forecast:
            return "no forecast"
        low, high = (forecast.get(name) for name in self._bounds)
        quantiles = forecast.get("quantiles", {})
        if low is None or high is None:
            low, high = (quantiles.get(name) for name in self._quantiles)
        steps = [_number(mean) for mean in forecast["mean"]]
        if low is not None and high is not None:
            intervals = zip(low, high, strict=True)
            steps = [
                f"{mean} [{_number(lowest)}, {_number(highest)}]"
                for mean, (lowest, highest) in zip(steps, intervals, strict=True)
            ]
        return "  ".join(steps)


def _number(value: float) -> str:
    return f"{value:.6g}"
