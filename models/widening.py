"""What a `Warming` does to the quantiles of young windows, by tensors."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .encoder import Window
from .spec import Spec
from .warming import Warming


class Widening(nn.Module):
    """A `Warming` made ready for a forecaster's windows; constants, and nothing that is trained."""

    table: Tensor
    above: Tensor
    weights: Tensor

    def __init__(self, warming: Warming, spec: Spec) -> None:
        super().__init__()
        self.warming = warming
        self.size = spec.input_size
        self.relative = spec.transform == "none"
        self.middle = spec.quantiles.index(0.5)
        # not persistent: they come from the manifest, the file of the weights knows nothing of them
        table = torch.from_numpy(_over_steps(warming, spec.horizon))  # (ages, horizon, Q)
        self.register_buffer("table", table.flatten(1), persistent=False)
        above = torch.arange(len(spec.quantiles)) >= self.middle  # (Q,)
        self.register_buffer("above", above, persistent=False)
        self.register_buffer("weights", torch.from_numpy(_by_age(warming)), persistent=False)

    def widened(self, x: Tensor, window: Window) -> Tensor:
        """x (n, horizon, Q) float64, network units, ascending; and the same, wider where young.

        Each quantile is at least as far from the median as the warming says. Rows of windows that
        are full enough come back to the last bit as they were.
        """
        seen = (window.share[:, 0] * self.size).round_().long()  # (n,) observed values
        weights = self.weights[seen.clamp_max_(self.warming.full)]  # (n, ages)
        if self.relative:
            weights.mul_(window.loc.abs().clamp_min_(self.warming.floor))
        # one product for all: looking for young rows first costs more than it saves
        least = torch.mm(weights, self.table).view_as(x) + x[..., self.middle, None]
        return torch.where(self.above, torch.maximum(x, least), torch.minimum(x, least))


def _by_age(warming: Warming) -> NDArray[np.float64]:
    """(full + 1, ages): what part of each age's offsets a window has, by its observed values."""
    knots = np.log([*warming.ages, warming.full])
    at = np.log(np.arange(warming.full + 1).clip(warming.ages[0]))
    parts = [np.interp(at, knots, row) for row in np.eye(len(knots))[:-1]]
    return np.stack(parts, axis=1)


def _over_steps(warming: Warming, horizon: int) -> NDArray[np.float64]:
    """(ages, horizon, Q): the offsets at every step ahead."""
    known, ahead = np.log(warming.steps), np.log(np.arange(1, horizon + 1))
    parts = np.stack([np.interp(ahead, known, row) for row in np.eye(len(known))])
    over: NDArray[np.float64] = np.einsum("sh,asq->ahq", parts, np.array(warming.offsets))
    return over
