"""Forecasts that wait for their truth: for each stream one a lead, in arrays made once."""

from __future__ import annotations

import numpy as np

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
        self.stream = np.zeros(capacity, np.int64)
        self.start = np.zeros(capacity, np.int64)
        self.target = np.zeros((capacity, count), np.int64)
        self.origin = np.zeros((capacity, count), np.int64)
        self.values = np.zeros((capacity, count, spec.outputs))
        self.scales = np.zeros((capacity, count))
        self.scale = np.zeros(capacity)
