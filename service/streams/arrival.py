"""What comes in for one stream, and what becomes of each observation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Arrival:
    """Observations of one stream as one request brings them, in its order.

    ds: instants of the stream's clock (`models.timeline.Clock`) as whole numbers: microseconds, or
        steps where time is only counted.
    y: units of the data, NaN where nothing was observed.
    exog: the covariates of each as they stand in the log, a JSON object by name with null where
        unknown; None for a model without any.
    """

    unique_id: str
    ds: Sequence[int] = ()
    y: Sequence[float] = ()
    exog: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.ds)

    def one(self, index: int) -> Arrival:
        """One of the observations by itself."""
        at = slice(index, index + 1)
        exog = None if self.exog is None else self.exog[at]
        return Arrival(self.unique_id, self.ds[at], self.y[at], exog)


class Kind(Enum):
    """What became of an observation."""

    APPLIED = "applied"
    REWOUND = "rewound"
    """It came late, was put in its place, and what follows was computed anew."""
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    LATE = "late"
    ASTRAY = "astray"
    """Its time is not on the stream's grid."""
    UNFIT = "unfit"
    """The forecaster makes no finite numbers of it."""


class Outcome(NamedTuple):
    """What became of one observation.

    ds: on the stream's clock; seq: its place in the stream's log, 0 where it has none; missing:
    steps left out before it; steps: what the state has seen with it; stored: the value that the log
    has for this time, where it is another.
    """

    kind: Kind
    ds: int
    seq: int = 0
    missing: int = 0
    steps: int = 0
    stored: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether the log has it, by this request or an earlier one."""
        return self.kind in _ACCEPTED


_ACCEPTED = frozenset({Kind.APPLIED, Kind.REWOUND, Kind.DUPLICATE})
