"""Forecasts of more steps than a forecaster was trained for, by feeding back what it said."""

from __future__ import annotations

import torch
from torch import Tensor

from .forecaster import Forecaster, ascending
from .spec import Spec
from .state import State, Steps
from .transform import to_forecast, to_network


def steps_fed_back(spec: Spec, h: int) -> int:
    """Steps of one series that `beyond` runs through the network, beside its history."""
    return spec.outputs * (-(-h // spec.horizon) - 1) * spec.horizon


def beyond(forecaster: Forecaster, state: State, ahead: Tensor, h: int) -> Tensor:
    """(n, h, outputs) float64 in data units: `Forecaster.forecast`, and what follows it.

    ahead: (n, h, exog_size), the covariates of the steps after the state's newest, NaN where
    unknown. The first horizon is the forecaster's own. Then each quantile is a path that is fed
    back as if it had been observed, and the next horizon is forecast after each: its median is that
    after the path of medians, m. A quantile lies as far from m as

        sqrt((m(q) - m)^2 + max(s(q), s1(q))^2)

    in network units, m(q) being the median after the path of that quantile, s(q) how far the
    quantile lies from m after the path of medians, and s1(q) how far it lay as many steps into the
    first horizon: errors of one horizon and the next add up as independent ones do, which is exact
    for a (seasonal) random walk, and none is thought to be less sure than the first. A point head
    feeds back its point.
    """
    spec = forecaster.spec
    n, horizon, outputs = len(state), spec.horizon, spec.outputs
    n_futr = spec.n_futr
    mid = spec.quantiles.index(0.5) if spec.quantiles else 0
    side = torch.tensor(spec.quantiles or (0.5,), dtype=torch.float64).sub(0.5).sign()
    n_blocks = -(-h // horizon)
    futr = ahead.new_full((n, n_blocks * horizon, n_futr), torch.nan)
    futr[:, :h] = ahead[..., ahead.shape[-1] - n_futr :]

    own = forecaster.forecast(state, futr[:, :horizon])  # (n, horizon, outputs)
    x = to_network(own, spec)
    first = (x - x[..., mid, None]).abs()  # (n, horizon, outputs)
    blocks = [own]
    paths = state.take(torch.arange(n).repeat_interleave(outputs))  # n * outputs streams
    for end in range(horizon, n_blocks * horizon, horizon):
        passed = ahead[:, end - horizon : end]
        fed = to_forecast(x.transpose(1, 2).reshape(n * outputs, horizon), spec)
        paths = forecaster.replay(paths, Steps(fed, passed.repeat_interleave(outputs, 0)))
        known = futr[:, end : end + horizon].repeat_interleave(outputs, 0)
        said = to_network(forecaster.forecast(paths, known), spec)
        said = said.view(n, outputs, horizon, outputs)  # path, step, quantile
        median = said[:, mid, :, mid, None]  # (n, horizon, 1)
        moved = said[..., mid].transpose(1, 2) - median  # (n, horizon, outputs)
        spread = torch.maximum((said[:, mid] - median).abs(), first)
        x = ascending(median + side * moved.hypot(spread))
        blocks.append(to_forecast(x, spec))
    return torch.cat(blocks, 1)[:, :h]
