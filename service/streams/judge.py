"""The rules of a stream: which observations enter its log, and how its state follows. Pure.

Of an observation at the time of one that the log has, the same value is a duplicate, another a
conflict. One that comes next is applied; steps left out before it are masked, up to `max_gap`;
after more of them the stream begins anew. One that is late is refused, or, within `rewind` steps of
the newest, put in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.streams.arrival import Kind, Outcome
from service.streams.head import Head, Options

Stored = Mapping[int, tuple[float, str | None, int]]
"""ds -> y, exog and seq of observations in the log."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps that a state goes through without a stop: `count` steps, `first` steps after `base`.

    Only the last of them was observed, the others are missing; `index` is the observation's place
    among those accepted. anew: whether the state is a young one.
    """

    base: int
    first: int
    count: int
    index: int
    anew: bool


@dataclass(slots=True)
class Judge:
    """Follows a stream through a batch: a head that moves, and what is to be appended.

    base: the ds from which positions are counted; tail: the position of head.ds from there.
    """

    head: Head
    options: Options
    stored: Stored
    base: int
    tail: int = -1
    ds: list[int] = field(default_factory=list)
    y: list[float] = field(default_factory=list)
    exog: list[str | None] = field(default_factory=list)
    stretches: list[Stretch] = field(default_factory=list)
    first_late: int | None = None
    _known: dict[int, tuple[float, str | None, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        head = self.head
        self.tail = head.steps - 1
        if head.ds is not None:  # `stored` has what lies before it
            self._known[head.ds] = (head.y, head.exog, head.tail_seq)

    def observe(self, ds: int, position: int, y: float, exog: str | None, now: int) -> Outcome:
        """Judge one observation. position: steps from base; now: milliseconds since 1970."""
        head = self.head
        if head.ds is None or position > self.tail:
            return self._follow(ds, position, y, exog, now)
        known = self._known.get(ds) or self.stored.get(ds)
        if known is not None:
            if _equal(known[0], y) and known[1] == exog:
                return Outcome(Kind.DUPLICATE, ds, known[2], steps=head.steps)
            return Outcome(Kind.CONFLICT, ds, known[2], stored=known[0])
        if self.tail - position > self.options.rewind:
            return Outcome(Kind.LATE, ds)
        seq = head.seq + 1
        self._append(ds, y, exog, seq)
        self.first_late = ds if self.first_late is None else min(ds, self.first_late)
        self.head = head._replace(late_seq=seq, received=now)
        return Outcome(Kind.REWOUND, ds, seq, steps=head.steps)

    def _follow(self, ds: int, position: int, y: float, exog: str | None, now: int) -> Outcome:
        head = self.head
        missing = position - self.tail - 1 if head.ds is not None else 0
        anew = head.ds is None or missing > self.options.max_gap
        seq = head.seq + 1
        if anew:
            stretch = Stretch(self.base, position, 1, len(self.ds), anew=True)
            start, steps, exact = ds, 1, True
        else:
            stretch = Stretch(self.base, self.tail + 1, missing + 1, len(self.ds), anew=False)
            start, steps, exact = head.start, head.steps + missing + 1, head.exact
        self.stretches.append(stretch)
        self._append(ds, y, exog, seq)
        self.tail = position
        self.head = Head(ds, y, exog, seq, head.late_seq, start, steps, exact, now)
        return Outcome(Kind.APPLIED, ds, seq, missing, steps)

    def _append(self, ds: int, y: float, exog: str | None, seq: int) -> None:
        self.ds.append(ds)
        self.y.append(y)
        self.exog.append(exog)
        self._known[ds] = (y, exog, seq)


def _equal(one: float, other: float) -> bool:
    return one == other or (one != one and other != other)  # noqa: PLR0124 - NaN is "missing"
