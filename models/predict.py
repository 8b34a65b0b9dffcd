"""Batch forecasts of ragged series: the same states as streams have, made by the fused kernel."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from .context import Context
from .forecaster import Forecaster
from .spec import Spec
from .state import State, Steps


def predict(
    forecaster: Forecaster, contexts: Sequence[Context], *, batch_size: int = 128
) -> NDArray[np.float64]:
    """(n, horizon, outputs) forecasts after each context's last step, in data units.

    Contexts may differ in length. One without any observation in its newest window gives NaN.
    Threads may call this at once on one forecaster.
    """
    spec = forecaster.spec
    values = np.full((len(contexts), spec.horizon, spec.outputs), np.nan)
    order = sorted(range(len(contexts)), key=lambda i: -contexts[i].y.shape[0])
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = [contexts[i] for i in rows]
            state = replayed(forecaster, batch)
            futr = torch.from_numpy(np.stack([context.futr for context in batch]))
            values[rows] = forecaster.forecast(state, futr).numpy()
    return values


def replayed(forecaster: Forecaster, contexts: Sequence[Context]) -> State:
    """The states after `contexts`, longest first, as `advance` from young streams would make them.

    Between two lengths all the series that go on have every step, so each stretch is one call of
    the fused kernel over the first rows and no padding enters any state.
    """
    lengths = [context.y.shape[0] for context in contexts]
    if any(a < b for a, b in pairwise(lengths)):
        raise ValueError("contexts must come longest first")
    y = np.full((len(contexts), lengths[0] if lengths else 0), np.nan)  # (n, T)
    exog = np.full((*y.shape, forecaster.spec.exog_size), np.nan, dtype=np.float32)  # (n, T, X)
    for row, context in enumerate(contexts):
        y[row, : lengths[row]] = context.y
        exog[row, : lengths[row]] = context.exog
    stat = torch.from_numpy(np.stack([context.stat for context in contexts]))  # (n, S)
    going = forecaster.initial_state(len(contexts), stat)
    done: list[State] = []
    start = 0
    for length in sorted(set(lengths)):
        steps = Steps(
            torch.from_numpy(y[: len(going), start:length]),
            torch.from_numpy(exog[: len(going), start:length]),
        )
        going = forecaster.replay(going, steps)
        more = sum(other > length for other in lengths)
        done.append(going.take(slice(more, None)))
        going = going.take(slice(0, more))
        start = length
    return State.concatenate(done[::-1])


def point(spec: Spec, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median, or the point head's value: (..., horizon, outputs) -> (..., horizon)."""
    column: NDArray[np.float64] = values[..., spec.quantiles.index(0.5) if spec.quantiles else 0]
    return column
