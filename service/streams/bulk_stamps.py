"""A column of time stamps read at once, each with what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models import iso
from models.timeline import Timeline
from service.streams.stamps import numbers_of

_MOST = 2**53  # whole numbers beyond it change on their way through JSON
_NO_TEXT = "must be an ISO 8601 time, as the model's are"
_NO_NUMBER = "must be a whole number, as the model's are"
_NAIVE = "has no offset from UTC: write one"


class Stamped(NamedTuple):
    """Time stamps as whole numbers of the clock, (n,), and by place the reasons of those amiss."""

    ds: NDArray[np.int64]
    faults: dict[int, str]


def read_each(timeline: Timeline, stamps: Sequence[object]) -> Stamped:
    """Time stamps as `service.streams.stamps.read` reads them, but none spoils the others."""
    if timeline.kind == "integer":
        return _counted(stamps)
    texts = [stamp if type(stamp) is str else "" for stamp in stamps]
    read = iso.read(texts)
    stamped = placed(timeline, replace(read, valid=read.valid & read.aware))
    for place in np.flatnonzero(read.valid & ~read.aware).tolist():
        stamped.faults[place] = _NAIVE
    for place in [place for place in stamped.faults if type(stamps[place]) is not str]:
        stamped.faults[place] = _NO_TEXT
    return stamped


def placed(timeline: Timeline, stamps: iso.Stamps) -> Stamped:
    """Stamps that have an offset, on a timeline of times."""
    clock, fault = timeline.place(stamps)
    reasons = {kind: timeline.reason(kind) for kind in np.unique(fault).tolist()}
    faults = {place: reasons[int(fault[place])] for place in np.flatnonzero(fault).tolist()}
    return Stamped(numbers_of(clock), faults)


def counted(steps: NDArray[np.int64]) -> Stamped:
    """Counted steps, (n,)."""
    beyond = np.flatnonzero((steps > _MOST) | (steps < -_MOST)).tolist()
    return Stamped(steps, dict.fromkeys(beyond, "lies beyond 2**53"))


def _counted(stamps: Sequence[object]) -> Stamped:
    # a float64 holds every whole number up to the bound, and tells those beyond it
    whole = [type(stamp) is int for stamp in stamps]
    near = [s if type(s) is int and -_MOST <= s <= _MOST else _MOST + 1 for s in stamps]
    stamped = counted(np.array(near, np.int64))
    for place in [place for place, fine in enumerate(whole) if not fine]:
        stamped.faults[place] = _NO_NUMBER
    return stamped
