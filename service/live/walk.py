"""The forecasts that a version would have made, after given places of a stream's log."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np

from service.streams.batch import Values
from service.streams.history import Past

_STEP = 64
"""Observations that are gone through between two looks at the store."""
_FAR = 256
"""Observations further than which a state is made anew rather than brought there one by one."""
_KEPT = 64
"""Forecasts on the way that are kept, for a later lead of the same origin: 17 KB at 11 quantiles
and three leads."""


class Walk:
    """One stream and one version. Only for one thread at a time.

    past: begins a walk at a place in the log. leads: the steps ahead that are wanted.
    """

    def __init__(self, past: Callable[[int], Past], leads: Sequence[int]) -> None:
        self._begin = past
        self._rows = [lead - 1 for lead in leads]
        self._past: Past | None = None
        self._recent: OrderedDict[int, Values] = OrderedDict()

    def after(self, origins: Sequence[int]) -> dict[int, Values]:
        """By origin, an observation's place in the log, the forecast (leads, outputs) after it.

        Left out where the version's window was not full, or no finite numbers came. Raises
        StoreError.
        """
        found: dict[int, Values] = {}
        for origin in sorted({*origins}):
            values = self._recent.get(origin)
            if values is None:
                values = self._walked(origin).get(origin)
            if values is not None:
                found[origin] = values
        return found

    def _walked(self, origin: int) -> dict[int, Values]:
        past = self._past
        if past is not None and past.seq >= origin:  # further on: this one alone, and back again
            return self._made(self._begin(origin - 1), origin)
        if past is None or origin - past.seq > _FAR:
            past = self._begin(origin - 1)
        self._past = None  # of one that fails on its way nobody knows where it stands
        made = self._made(past, origin)
        self._past = past
        self._recent.update(made)
        while len(self._recent) > _KEPT:
            self._recent.popitem(last=False)
        return made

    def _made(self, past: Past, last: int) -> dict[int, Values]:
        made: dict[int, Values] = {}
        full = past.loaded.spec.input_size
        while past.seq < last:
            events = past.events(min(last - past.seq, _STEP))
            if not events:
                break
            for event in events:
                values = event.values
                if values is None or event.outcome.steps < full or not np.isfinite(values).all():
                    continue
                made[event.seq] = values[self._rows]
        return made
