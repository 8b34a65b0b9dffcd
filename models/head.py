"""From the newest state to every horizon: the linear skip, and what the gates add to it."""

from __future__ import annotations

from statistics import NormalDist

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from .spec import Spec

_FUTR_UNITS = 16
"""Units a member that mix the state with known future covariates."""


class Head(nn.Module):
    """All horizons from one state, in the window's own scale.

    The skip is a linear map from the window, started at the mean of the seasonal naive forecasts
    of the seasons that fit in it; the state adds a term of its own for each horizon and quantile.
    No one map fits series that are unlike each other, so a gated linear unit (Dauphin et al. 2017)
    adds another that the state chooses: numbers are drawn from the window, each weighed by a gate
    of the state between -1 and 1, and mapped to every horizon. It starts at nothing.
    Known future covariates enter at the horizon they belong to, mixed with the state.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.horizon = spec.horizon
        self.outputs = spec.outputs
        features = spec.hidden_size * len(spec.cells)
        units = _FUTR_UNITS * len(spec.cells)
        self.state = nn.Linear(features, spec.horizon * spec.outputs)
        self.skip = nn.Linear(spec.lags, spec.horizon, bias=False) if spec.skip else None
        if self.skip is not None:
            with torch.no_grad():
                self.skip.weight.copy_(seasonal_naive_weights(spec))
                self.state.weight.mul_(0.1)
                self.state.bias.copy_(_normal_spread(spec))
        self.gated = spec.gated
        if self.gated:
            terms = spec.gated * len(spec.cells)
            self.gate_state = nn.Linear(features, terms)
            self.gate_input = nn.Linear(spec.lags, terms, bias=False)
            self.gate_output = nn.Linear(terms, spec.horizon, bias=False)
            nn.init.zeros_(self.gate_output.weight)
        self.n_futr = spec.n_futr
        if self.n_futr:
            self.futr_state = nn.Linear(features, units)
            self.futr_input = nn.Linear(self.n_futr, units, bias=False)
            self.futr_output = nn.Linear(units, spec.outputs, bias=False)

    def forward(self, h: Tensor, z: Tensor, futr: Tensor | None) -> Tensor:
        """h (..., features), z (..., lags), futr (..., horizon, F) -> (..., horizon, outputs).

        futr is scaled; it may be None where the spec has none.
        """
        # `linear`, not the modules' own call, which for one stream costs as much as the product
        state, skip = self.state, self.skip
        out = linear(h, state.weight, state.bias)
        out = out.view(*h.shape[:-1], self.horizon, self.outputs)
        level = None if skip is None else linear(z, skip.weight)  # (..., horizon)
        if self.gated:
            gate = torch.tanh(linear(h, self.gate_state.weight, self.gate_state.bias))
            drawn = linear(z, self.gate_input.weight) * gate  # (..., terms)
            added = linear(drawn, self.gate_output.weight)
            level = added if level is None else level + added
        if level is not None:
            out.add_(level.unsqueeze(-1))
        if self.n_futr and futr is not None:
            mixed = torch.tanh(self.futr_input(futr) + self.futr_state(h)[..., None, :])
            out.add_(self.futr_output(mixed))  # (..., horizon, outputs)
        return out


def seasonal_naive_weights(spec: Spec) -> Tensor:
    """(horizon, lags): each horizon's weights on the window that make the seasonal naive forecast.

    Seasons that do not fit in the window are left out; without any, it is the last value.
    """
    seasons = [season for season in spec.season if season <= spec.lags] or [1]
    weights = torch.zeros(spec.horizon, spec.lags)
    for season in seasons:
        for k in range(spec.horizon):
            weights[k, spec.lags - season + k % season] += 1.0 / len(seasons)
    return weights


def _normal_spread(spec: Spec) -> Tensor:
    """(horizon * outputs,): a normal spread of half a window scale to start from."""
    spread = [0.5 * NormalDist().inv_cdf(level) for level in spec.quantiles] or [0.0]
    return torch.tensor(spread).repeat(spec.horizon)
