"""Where a stream's log ends, and the options that say how it goes on."""

from __future__ import annotations

from typing import NamedTuple

from store.streams import Stream


class Head(NamedTuple):
    """The end of a stream's log, as one state knows it.

    ds, y, exog: of the newest observation, ds None where there is none; y is NaN where nothing was
        observed.
    tail_seq: its place in the log. late_seq: the place of the newest that came late, 0 if none.
    start: the first step that the state has seen: of the log, or after its last break, or, where
        only a version's memory was replayed, later.
    steps: from start to ds, both included.
    exact: whether nothing since the log's last break was left out.
    received: when the newest arrived, or the stream was opened; milliseconds since 1970.
    """

    ds: int | None
    y: float
    exog: str | None
    tail_seq: int
    late_seq: int
    start: int
    steps: int
    exact: bool
    received: int

    @property
    def seq(self) -> int:
        """Observations in the log."""
        return max(self.tail_seq, self.late_seq)


class Options(NamedTuple):
    """How a stream treats what is not in order.

    opened: the stream's, by which it is known whether these still hold.
    rewind: how many steps late an observation may come; 0 refuses it.
    max_gap: missing steps in a row that are masked; after more, the stream begins anew.
    ttl_hours: hours without an observation after which it expires, None for never.
    """

    opened: int
    rewind: int
    max_gap: int
    ttl_hours: float | None


def options_of(stream: Stream, input_size: int) -> Options:
    """A stream's options; a window of `input_size` is the longest gap unless it says otherwise."""
    max_gap = input_size if stream.max_gap is None else stream.max_gap
    return Options(stream.opened, stream.rewind, max_gap, stream.ttl_hours)


def young(opened: int) -> Head:
    """The head of a stream without observations."""
    return Head(None, float("nan"), None, 0, 0, 0, 0, True, opened)


def expired(options: Options, head: Head, now: int) -> bool:
    """Whether a stream has been silent for too long. now: milliseconds since 1970."""
    return options.ttl_hours is not None and now > head.received + options.ttl_hours * 3_600_000
