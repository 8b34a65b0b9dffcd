"""Batch forecasts of ragged series: the same states as streams have, made by the fused kernel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from .context import Context
from .forecaster import Forecaster
from .replay import advanced
from .spec import Spec
from .state import State


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
    """The states after `contexts`, in their order, as `advance` from young streams would make."""
    if not contexts:
        return forecaster.initial_state(0)
    stat = torch.from_numpy(np.stack([context.stat for context in contexts]))  # (n, S)
    young = forecaster.initial_state(len(contexts), stat)
    return advanced(
        forecaster, young, [each.y for each in contexts], [each.exog for each in contexts]
    )


def point(spec: Spec, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median, or the point head's value: (..., horizon, outputs) -> (..., horizon)."""
    column: NDArray[np.float64] = values[..., spec.quantiles.index(0.5) if spec.quantiles else 0]
    return column
