"""Forecasts that wait for their truth: for each stream one a lead, in arrays made once."""

from __future__ import annotations

import math
import mmap

import numpy as np
from numpy.typing import NDArray

from models.spec import Spec


def leads_of(horizon: int) -> tuple[int, ...]:
    """The leads that are scored, in steps: the first, the one halfway and the last."""
    return tuple(sorted({1, (horizon + 1) // 2, horizon}))


class Pending:
    """The waiting forecasts of one version's streams, by the rows of its arena.

    A slot holds one forecast until its step has gone by, so a lead of 48 is scored once in 48
    steps at most. 360 bytes a stream at 11 quantiles; memory is touched by rows in use only.

    stream, start: (rows,) whose forecasts they are, and from which `Head.start` their steps count.
    A row may change hands: what another stream left there is not its own.
    target: (rows, leads) `Head.steps` of the step that is forecast, 0 where none waits.
    origin: (rows, leads) `Head.seq` when it was made.
    values: (rows, leads, outputs) data units; scales: (rows, leads) data units.
    scale: (rows,) the stream's when it was measured last, NaN where nothing can be scaled by it.
    """

    def __init__(self, spec: Spec, capacity: int) -> None:
        self.leads = leads_of(spec.horizon)
        count = len(self.leads)
        self.stream = _ints(capacity)
        self.start = _ints(capacity)
        self.target = _ints(capacity, count)
        self.origin = _ints(capacity, count)
        self.values = _floats(capacity, count, spec.outputs)
        self.scales = _floats(capacity, count)
        self.scale = _floats(capacity)


def _ints(*shape: int) -> NDArray[np.int64]:
    return np.frombuffer(_untouched(shape), np.int64).reshape(shape)


def _floats(*shape: int) -> NDArray[np.float64]:
    return np.frombuffer(_untouched(shape), np.float64).reshape(shape)


def _untouched(shape: tuple[int, ...]) -> mmap.mmap:
    """Zeros of eight bytes each, of the system's own. Those of `numpy.zeros` are so only the first
    time: where memory has been given back before, it is written to, all of it."""
    return mmap.mmap(-1, 8 * math.prod(shape))
