"""Series that a fit may begin with, and what their windows tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.context import Context
from models.forecaster import Forecaster, new_forecaster
from tests.training.panels import panel_of, spec_of
from training.beginning import begin
from training.contexts import context
from training.linear_start import Found, look
from training.ridge import Line, Trust

Values = NDArray[np.float64]


def pasts_of(*ys: Values, **changes: Any) -> list[Context]:
    panel = panel_of(*ys)
    return [context(panel, each, spec_of(**changes), len(each)) for each in panel.series]


def ends_of(pasts: list[Context]) -> NDArray[np.int64]:
    return np.array([past.y.size for past in pasts], dtype=np.int64)


def autoregressive(length: int, seed: int = 0, noise: float = 1.0) -> Values:
    """Half the value of two steps before, turned over."""
    random, y = np.random.default_rng(seed), np.zeros(length)
    for t in range(2, length):
        y[t] = -0.5 * y[t - 2] + noise * random.normal()
    return y + 100.0


def regimes(length: int, seed: int = 0) -> Values:
    """Another season above the level than below it, which no one linear map can know."""
    random, y = np.random.default_rng(seed), np.full(length, 100.0)
    for t in range(4, length):
        turned = 1.0 if y[t - 4 : t].mean() > 100.0 else -1.0
        y[t] = 100.0 + turned * (y[t - 2] - 100.0) * 0.9 + random.normal()
    return y


def started(
    pasts: list[Context], ends: NDArray[np.int64] | None = None, /, **changes: Any
) -> Forecaster:
    """At what their values before `ends`, all by default, tell."""
    forecaster = new_forecaster(spec_of(**changes), 0)
    found = look(forecaster, pasts, ends_of(pasts) if ends is None else ends)
    assert found is not None
    begin(forecaster, found)
    return forecaster.eval()


def told(missed: Tensor | None = None, independent: float = 10.0, *, apart: float = 1e9) -> Found:
    """What windows of 8 tell of 3 steps ahead: by default nothing but that the errors are few."""
    return Found(
        Line(torch.zeros(3, 8), torch.zeros(3)),
        Trust(0.25, 0.0),
        torch.empty(0, 3) if missed is None else missed,
        independent,
        apart,
    )
