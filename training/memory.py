"""How far back a forecaster's state reaches, measured on the series that it was fitted to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.context import Context
from models.forecaster import Forecaster
from models.manifest import Memory, Reach
from models.predict import replayed
from models.transform import to_network

TOLERANCES = (1e-2, 1e-3, 1e-6)

_MOST_SERIES = 64
_LONGEST = 4096
"""Steps beyond the window that are looked at: a bound on the cost, and on what can be found."""


def measure_memory(forecaster: Forecaster, pasts: Sequence[Context]) -> Memory | None:
    """The numbers of newest steps that must be replayed for the forecast of the whole history.

    What a bounded rebuild of a stream does is done here: a young state is taken over the newest N
    steps of a series, the window included, and forecasts; the forecast from all of the series is
    held against it. Their distance is the largest over horizon and quantiles, in scales of the
    window. N runs over the window and what a geometric grid adds to it, and a tolerance is reached
    at the first N from which on every distance is within it. Histories are at least a window longer
    than the longest N, else both would begin alike. None where no series is that long.

    At most the 64 longest of `pasts`, none shorter than half of the longest, and N at most 4,096
    beyond the window. A series on which a tolerance is not reached leaves it without a worst case.
    """
    size = forecaster.spec.input_size
    long = [past for past in pasts if len(past.y) >= 2 * size and _ends_seen(past, size)]
    if not long:
        return None
    long.sort(key=lambda past: -len(past.y))
    histories = [_newest(past, 2 * size + _LONGEST) for past in long[:_MOST_SERIES]]
    histories = [past for past in histories if 2 * len(past.y) >= len(histories[0].y)]
    lengths = np.array([len(past.y) for past in histories])
    grid = [n for n in _grid(size) if n + size <= lengths[0]]
    tried = np.array(grid)  # (N,)
    with torch.inference_mode():
        whole, scale = _forecasts(forecaster, histories)
        distance = np.full((len(histories), len(grid)), np.nan)
        for column, n in enumerate(grid):
            rows = np.flatnonzero(lengths >= n + size)
            short, _ = _forecasts(forecaster, [_newest(histories[row], n) for row in rows])
            apart = np.abs(short - whole[rows]).max(axis=(1, 2))
            distance[rows, column] = apart / scale[rows]
    return Memory(
        n_series=len(distance),
        longest=int(tried[-1]),
        reaches=tuple(_reach(distance, tried, tolerance) for tolerance in TOLERANCES),
    )


def _reach(distance: NDArray[np.float64], tried: NDArray[np.int64], tolerance: float) -> Reach:
    """distance: (n, N), NaN behind what a series is long enough for."""
    beyond = distance > tolerance
    last = np.where(beyond.any(axis=1), distance.shape[1] - beyond[:, ::-1].argmax(axis=1), 0)
    known = np.isfinite(distance).sum(axis=1)  # (n,)
    steps = np.where(last < known, tried[np.minimum(last, len(tried) - 1)], np.inf)
    median, worst = float(np.quantile(steps, 0.5, method="higher")), float(steps.max())
    return Reach(
        tolerance=tolerance,
        median=int(median) if np.isfinite(median) else None,
        worst=int(worst) if np.isfinite(worst) else None,
    )


def _grid(size: int) -> Iterator[int]:
    """The window, and from there on half as much again each time."""
    beyond = 0
    while beyond <= _LONGEST:
        yield size + beyond
        beyond = max(beyond + 1, beyond * 3 // 2)


def _newest(past: Context, n: int) -> Context:
    begin = max(0, past.y.shape[0] - n)
    return Context(past.y[begin:], past.exog[begin : past.y.shape[0]], past.futr, past.stat)


def _ends_seen(past: Context, size: int) -> bool:
    return bool(np.isfinite(past.y[-size:]).any())


def _forecasts(
    forecaster: Forecaster, histories: Sequence[Context]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, horizon, outputs) in network units, and the scales (n,) of the newest windows."""
    state = replayed(forecaster, histories)
    futr = torch.from_numpy(np.stack([past.futr for past in histories]))
    values = to_network(forecaster.forecast(state, futr), forecaster.spec)
    return values.numpy(), forecaster.encoder.scaled(state.ring).scale[:, 0].numpy()
