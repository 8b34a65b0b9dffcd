"""What a stretch that was not learnt from says of forecasts: histories, and what followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.context import Context
from models.forecaster import Forecaster
from models.predict import predict
from models.spec import Spec
from models.transform import to_network
from training.validation import until

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Histories whose forecasts reach steps that were not learnt from, all or a sample of them.

    histories: N of them, two windows long at most; truth: (N, horizon) in data units, NaN where it
    was learnt from, was not observed or lies beyond the series. steps: (n_series,) held back of
    each series.
    """

    histories: tuple[Context, ...]
    truth: Values
    steps: NDArray[np.int64]


def held_out(
    spec: Spec, pasts: Sequence[Context], ends: NDArray[np.int64], *, most: int, seed: int
) -> HeldOut:
    """What lies behind `ends` (n_series,), the leading steps of each of `pasts` that were learnt.

    most: histories, drawn where there are more; 512 windows of 168 hours take two seconds of
    processor time to forecast from. Origins begin a horizon before those steps: so each step ahead
    is seen at all times of the day.
    """
    lengths = np.array([past.y.shape[0] for past in pasts], dtype=np.int64)
    drawn = _drawn(spec, lengths, ends, most, seed)
    truth = np.full((len(drawn), spec.horizon), np.nan)
    for place, (row, origin) in enumerate(drawn):
        begin = max(origin, int(ends[row]))
        known = pasts[row].y[begin : origin + spec.horizon]
        truth[place, begin - origin :][: known.size] = known
    seen = 2 * spec.input_size
    histories = tuple(until(spec, pasts[row], origin, most=seen) for row, origin in drawn)
    return HeldOut(histories, truth, np.maximum(0, lengths - ends))


def missed(forecaster: Forecaster, histories: Sequence[Context], truth: Values) -> Values:
    """(N, horizon, Q): truth less quantile in network units, NaN where there is no truth."""
    known, said = (
        to_network(torch.from_numpy(each), forecaster.spec).numpy()
        for each in (truth.copy(), predict(forecaster, histories))
    )
    by: Values = known[..., None] - said
    return by


def _drawn(
    spec: Spec, lengths: NDArray[np.int64], ends: NDArray[np.int64], most: int, seed: int
) -> list[tuple[int, int]]:
    """Series and origins whose forecasts reach steps that were not learnt from."""
    first = np.maximum(1, ends - spec.horizon + 1)  # (n_series,)
    total = np.cumsum(np.maximum(0, lengths - first))
    n = int(total[-1]) if total.size else 0
    places = np.arange(n)
    if n > most:
        random = np.random.default_rng(seed)
        places = np.sort(random.choice(n, most, replace=False, shuffle=False))
    rows = np.searchsorted(total, places, side="right")
    origins = lengths[rows] - (total[rows] - places)
    return list(zip(rows.tolist(), origins.tolist(), strict=True))
