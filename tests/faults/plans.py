"""What a client is going to say of a stream: the same for the same seed, however often it asks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_START = datetime(2026, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)

REWIND = 4
"""Steps late that an observation comes at most."""


@dataclass(frozen=True, slots=True)
class Observation:
    """step: hours after the start. y: None where nothing was observed."""

    step: int
    y: float | None

    @property
    def ds(self) -> str:
        """As it is posted."""
        return (_START + self.step * _HOUR).isoformat()

    @property
    def clock(self) -> int:
        """As the log has it: microseconds since 1970."""
        return (_START + self.step * _HOUR - _EPOCH) // timedelta(microseconds=1)

    def body(self) -> dict[str, object]:
        """As JSON has it."""
        return {"ds": self.ds, "y": self.y}


def plan(name: str, *, late: bool) -> Iterator[Observation]:
    """A stream's observations without end, in the order of arrival, each step once.

    Some steps are left out, some have no value; if `late`, some come after the one that follows.
    """
    rng = random.Random(name)  # noqa: S311 - no secret
    step = 0
    held: Observation | None = None
    while True:
        step += 1 if rng.random() < 0.9 else rng.randint(2, 3)
        y: float | None = round(rng.gauss(100, 10), 6)
        if step > 5 and rng.random() < 0.05:  # before anything is observed, nothing is forecast
            y = None
        new = Observation(step, y)
        if late and held is None and rng.random() < 0.1:
            held = new
            continue
        yield new
        if held is not None:
            yield held
            held = None
