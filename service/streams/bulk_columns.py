"""What one request brings for many streams: its observations by line, then by stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.problems import Fault, ProblemError, invalid, problem
from service.streams.arrival import Arrival


@dataclass(slots=True)
class Columns:
    """The lines of a request, (n,) each.

    names: their streams, None where a line has no name that may be shown.
    y: units of the data, NaN where nothing was observed.
    exog: as in `Arrival`; None for a model without covariates.
    refused: by line, why it is no observation; what else stands there means nothing.
    """

    names: list[str | None] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    exog: list[str] | None = None
    refused: dict[int, ProblemError] = field(default_factory=dict)

    def refuse(self, line: int, place: str, reason: str) -> None:
        """Note a fault of a line, unless one is known already."""
        if line not in self.refused:
            self.refused[line] = invalid([Fault(field=place, reason=reason)])


@dataclass(frozen=True, slots=True)
class Bulk:
    """Lines gathered by stream, so that each stream has one arrival with its lines in their order.

    names, refused: by line, as in `Columns`. arrivals: one a stream; lines: of each arrival the
    lines that its observations stand in.
    """

    names: Sequence[str | None]
    refused: dict[int, ProblemError]
    arrivals: Sequence[Arrival]
    lines: Sequence[Sequence[int]]

    def __len__(self) -> int:
        """Lines."""
        return len(self.names)


def gathered(columns: Columns, ds: NDArray[np.int64]) -> Bulk:
    """The lines that were not refused, by stream. ds: (n,) on the clock."""
    refused = columns.refused
    of: dict[str, list[int]] = {}
    for line, name in enumerate(columns.names):
        if name is None or line in refused:
            continue
        its = of.get(name)
        if its is None:
            of[name] = [line]
        else:
            its.append(line)
    times, y, exog = ds.tolist(), columns.y, columns.exog
    arrivals = [
        Arrival(
            name,
            [times[line] for line in lines],
            [y[line] for line in lines],
            None if exog is None else [exog[line] for line in lines],
        )
        for name, lines in of.items()
    ]
    return Bulk(columns.names, refused, arrivals, list(of.values()))


def check_count(lines: int, most: int) -> None:
    """Raise 413 for more observations than one request may hold."""
    if lines > most:
        raise problem(413, "too-large", f"more than {most} observations in one request")
