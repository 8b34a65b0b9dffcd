"""How a network begins at what windows tell, and how near to it a trained one is kept.

The skip begins as the linear map that `training.linear_start` finds; what the gates then learn is
what it misses, and they are trusted as far as there is data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from models.forecaster import Forecaster
from models.spec import Spec
from training.linear_start import Found
from training.validation import Validation

_HALF = 60.0
"""Stretches of data at which the gates are trusted half."""

Weights = Mapping[str, Tensor]
"""A state dict of torch."""


def weights_of(forecaster: Forecaster) -> dict[str, Tensor]:
    """A copy of the weights as they are."""
    return {name: value.clone() for name, value in forecaster.state_dict().items()}


def begin(forecaster: Forecaster, found: Found) -> None:
    """Let the skip be the line, and quantiles lie about it as far as it misses; gates and
    covariates ahead add nothing yet but its bias."""
    head, spec = forecaster.head, forecaster.spec
    distances = found.distances(spec.quantiles)
    with torch.no_grad():
        _skip(forecaster).weight.copy_(found.line.weight)
        head.state.weight.mul_(0.1)
        if head.n_futr:
            head.futr_output.weight.zero_()
        bias = head.state.bias.view(spec.horizon, spec.outputs)
        bias.add_(found.line.bias[:, None].float())
        if distances is not None:
            bias.copy_(_median(bias, spec) + distances.float())


def draw_back(forecaster: Forecaster, start: Weights, lengths: Sequence[int]) -> None:
    """Draw a trained network towards where it began, where there is little data.

    start: the state dict of the beginning. lengths: steps of each series. Gates and covariates
    ahead keep the share s / (s + 60) of what they add, and quantiles of what they have moved, s
    being the horizons in a series times the root of the number of series, which move together.
    """
    head, spec = forecaster.head, forecaster.spec
    stretches = sum(lengths) / spec.horizon / len(lengths) ** 0.5
    less = 1.0 - stretches / (stretches + _HALF)
    with torch.no_grad():
        head.state.weight.mul_(1.0 - less)
        if head.gated:
            head.gate_output.weight.mul_(1.0 - less)
        if head.n_futr:
            head.futr_output.weight.mul_(1.0 - less)
        head.state.bias.lerp_(start["head.state.bias"], less)
        _skip(forecaster).weight.lerp_(start["head.skip.weight"], less)


def keep_better(forecaster: Forecaster, start: Weights, held: Validation) -> None:
    """Go back to the start, a state dict, unless `held` is forecast better than by that.

    For networks that have learnt from no whole window: steps far ahead may have been trained, and
    were validated, by next to nothing.
    """
    learnt = weights_of(forecaster)
    loss = held.loss(forecaster)  # NaN, and so never better, where there is nothing to tell by
    forecaster.load_state_dict(start)
    if loss < held.loss(forecaster):
        forecaster.load_state_dict(learnt)


def move(forecaster: Forecaster, start: Weights, before: Found, after: Found) -> None:
    """Put what more data tell in the place of what training began with."""
    head, spec = forecaster.head, forecaster.spec
    distances = after.distances(spec.quantiles)
    with torch.no_grad():
        _skip(forecaster).weight.add_(after.line.weight - before.line.weight)
        bias = head.state.bias.view(spec.horizon, spec.outputs)
        bias.add_((after.line.bias - before.line.bias)[:, None].float())
        if distances is not None:
            began = start["head.state.bias"].view(spec.horizon, spec.outputs)
            bias.add_(distances.float() - (began - _median(began, spec)))


def _median(bias: Tensor, spec: Spec) -> Tensor:
    """(horizon, 1) of (horizon, Q), apart from it."""
    return bias[:, spec.quantiles.index(0.5), None].clone()


def _skip(forecaster: Forecaster) -> nn.Linear:
    if forecaster.head.skip is None:
        raise ValueError("this network has no map from the window")
    return forecaster.head.skip
