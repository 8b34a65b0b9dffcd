"""Batch forecasts of ragged series: the same states as streams have, made by the fused kernel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from .beyond import beyond
from .context import Context
from .forecaster import Forecaster
from .replay import advanced
from .spec import Spec
from .state import State


def predict(
    forecaster: Forecaster,
    contexts: Sequence[Context],
    *,
    h: int | None = None,
    batch_size: int = 128,
) -> NDArray[np.float64]:
    """(n, horizon, outputs) forecasts after each context's last step, in data units.

    h: as many steps instead of the horizon; for more (`models.beyond`), contexts have `ahead`.
    Contexts may differ in length. One without any observation in its newest window gives NaN.
    Threads may call this at once on one forecaster.
    """
    spec = forecaster.spec
    h = spec.horizon if h is None else h
    values = np.full((len(contexts), h, spec.outputs), np.nan)
    order = sorted(range(len(contexts)), key=lambda i: -contexts[i].y.shape[0])
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = [contexts[i] for i in rows]
            state = replayed(forecaster, batch)
            values[rows] = _forecast(forecaster, state, batch, h).numpy()
    return values


def _forecast(
    forecaster: Forecaster, state: State, contexts: Sequence[Context], h: int
) -> torch.Tensor:
    if h <= forecaster.spec.horizon:
        futr = torch.from_numpy(np.stack([context.futr for context in contexts]))
        return forecaster.forecast(state, futr)[:, :h]
    ahead = [context.ahead for context in contexts if context.ahead is not None]
    if len(ahead) < len(contexts):
        raise ValueError(f"{h} steps ahead want the covariates of those steps")
    return beyond(forecaster, state, torch.from_numpy(np.stack(ahead)[:, :h]), h)


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
