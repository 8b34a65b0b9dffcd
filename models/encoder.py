"""What the network sees at a step: its window, scaled by itself; the gaps; the covariates.

Causal throughout: a step's input is made of that step's window and covariates and nothing later,
so a stream and a pass over the whole history see the same numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .spec import Spec

# A window that never moves has no scale of its own: it is given this share of its level (a step of
# the logarithm is a share already), or next to nothing where the level is zero.
_FLOOR = 1e-3
_TINY = 1e-8


class Window(NamedTuple):
    """A window scaled by itself.

    z: (..., lags) float32, the newest lags, zero where nothing was observed.
    gaps: (..., 2) float32, whether the newest step was observed, and the window's observed share.
    loc, scale: (...,) float64.
    """

    z: Tensor
    gaps: Tensor
    loc: Tensor
    scale: Tensor


class Encoder(nn.Module):
    """Windows and covariates -> the recurrent layers' inputs.

    Location and scale are the mean and the standard deviation of the window's observed values, the
    mean in float64 so that movements survive that are small beside the level; a window without any
    is NaN in both.
    Covariates are scaled by constants of the training data, kept as buffers.
    """

    exog_loc: Tensor
    exog_scale: Tensor
    stat_loc: Tensor
    stat_scale: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.lags = spec.lags
        self.sees_gaps = spec.sees_gaps
        self.relative_floor = spec.transform == "none"
        self.n_calendar = 2 * len(spec.calendar)
        n_stat = len(spec.stat_exog)
        self.register_buffer("exog_loc", torch.zeros(spec.exog_size))
        self.register_buffer("exog_scale", torch.ones(spec.exog_size))
        self.register_buffer("stat_loc", torch.zeros(n_stat))
        self.register_buffer("stat_scale", torch.ones(n_stat))
        n_masks = spec.exog_size - self.n_calendar  # the calendar is never missing
        n_gaps = 2 if spec.sees_gaps else 0
        self.inputs = spec.lags + n_gaps + spec.exog_size + n_masks + n_stat

    def scaled(self, values: Tensor) -> Window:
        """values (..., input_size) float64 in network units, NaN where nothing was observed."""
        seen = ~values.isnan()  # (..., input_size)
        n_seen = seen.sum(-1)  # (...,)
        loc = values.nansum(-1) / n_seen  # (...,)
        # subtracted in float64, where the level is; everything after is of the spread's size
        centred = (values - loc[..., None]).float().nan_to_num_(0.0)  # (..., input_size)
        spread = torch.linalg.vector_norm(centred, dim=-1) / n_seen.sqrt()
        floor = _FLOOR * loc.abs() if self.relative_floor else torch.full_like(loc, _FLOOR)
        scale = torch.maximum(spread.double(), floor.clamp_min(_TINY))  # (...,)
        z = centred[..., -self.lags :] / scale[..., None].float().nan_to_num(1.0)  # (..., lags)
        gaps = torch.stack([seen[..., -1], n_seen / values.shape[-1]], -1).float()  # (..., 2)
        return Window(z, gaps, loc, scale)

    def forward(self, window: Window, exog: Tensor, stat: Tensor) -> Tensor:
        """exog (..., X), stat (..., S) in their own units, NaN where unknown -> (..., inputs)."""
        parts = [window.z]
        if self.sees_gaps:
            parts.append(window.gaps)
        if exog.shape[-1]:
            known = ~exog.isnan()  # (..., X)
            parts.append(((exog - self.exog_loc) / self.exog_scale).where(known, 0.0))
            parts.append(known[..., self.n_calendar :].float())
        if stat.shape[-1]:
            parts.append(((stat - self.stat_loc) / self.stat_scale).nan_to_num(0.0))
        return torch.cat(parts, -1)
