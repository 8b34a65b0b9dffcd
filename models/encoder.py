"""What the network sees at a step: its window, scaled by itself; the gaps; the covariates.

Causal throughout: a step's input is made of that step's window and covariates and nothing later,
so a stream and a pass over the whole history see the same numbers.
"""

from __future__ import annotations

from math import isnan
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .gaps import filled, period_of
from .spec import Spec

# A window that never moves has no scale of its own: it is given this share of its level (a step of
# the logarithm is a share already), the data's resolution where that is more, or next to nothing.
FLOOR = 1e-3
_TINY = 1e-8


class Window(NamedTuple):
    """A window scaled by itself.

    z: (..., lags) float32, the newest lags, zero where nothing was observed or filled in.
    newest, share: (..., 1) float32, whether the newest step was observed, and the share of the
    window that was.
    loc, scale: (..., 1) float64; loc is NaN where nothing was observed.
    full: whether every value of all windows was observed.
    """

    z: Tensor
    newest: Tensor
    share: Tensor
    loc: Tensor
    scale: Tensor
    full: bool


class Encoder(nn.Module):
    """Windows and covariates -> the recurrent layers' inputs.

    Location and scale are the mean and the standard deviation of the window's values, those that
    were observed or filled in, the mean in float64 so that movements survive that are small beside
    the level; a window without any has no location.
    Covariates are scaled by constants of the training data, kept as buffers. A category is a column
    of zeros and a one for each that is known, less its share of the training series: an unknown one
    is the average of all.
    """

    exog_loc: Tensor
    exog_scale: Tensor
    stat_loc: Tensor
    stat_scale: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.lags = spec.lags
        self.sees_gaps = spec.sees_gaps
        self.period = period_of(spec) if spec.fills_gaps else None
        self.relative_floor = spec.transform == "none"
        self.least_scale = max(_TINY, spec.resolution)
        self.n_calendar = 2 * len(spec.calendar)
        self.categories = tuple(len(spec.categories.get(name, ())) for name in spec.stat_exog)
        self.n_exog, self.n_stat = spec.exog_size, sum(n or 1 for n in self.categories)
        self.register_buffer("exog_loc", torch.zeros(self.n_exog))
        self.register_buffer("exog_scale", torch.ones(self.n_exog))
        self.register_buffer("stat_loc", torch.zeros(self.n_stat))
        self.register_buffer("stat_scale", torch.ones(self.n_stat))
        n_masks = self.n_exog - self.n_calendar  # the calendar is never missing
        n_gaps = 2 if spec.sees_gaps else 0
        self.inputs = spec.lags + n_gaps + self.n_exog + n_masks + self.n_stat

    def scaled(self, values: Tensor) -> Window:
        """values (..., input_size) float64 in network units, NaN where nothing was observed."""
        loc = values.mean(-1, keepdim=True)  # (..., 1), NaN where anything is missing
        full = not isnan(loc.sum())
        if not full:
            seen = values.eq(values)  # (..., input_size), a NaN equals nothing
            count = seen.sum(-1, keepdim=True, dtype=torch.float32)  # (..., 1)
            newest, share = seen[..., -1:].float(), count / values.shape[-1]
            if self.period is not None:
                values = filled(values, self.period)
                count = values.eq(values).sum(-1, keepdim=True, dtype=torch.float32)
            loc = values.nansum(-1, keepdim=True) / count
            # subtracted in float64, where the level is; everything after is of the spread's size
            centred = (values - loc).float().nan_to_num_(0.0)  # (..., input_size)
            spread = _norm(centred).div_(count.clamp_min_(1.0).sqrt_())  # (..., 1)
        else:  # the usual case, the same without counting
            centred = (values - loc).float()
            spread = _norm(centred).mul_(values.shape[-1] ** -0.5)
            newest = share = torch.ones_like(spread)
        if self.relative_floor:
            scale = torch.fmax(spread.double(), FLOOR * loc.abs()).clamp_min_(self.least_scale)
        else:
            scale = spread.clamp_min_(FLOOR)
        z = centred[..., -self.lags :] / scale.float()  # (..., lags)
        return Window(z, newest, share, loc, scale.double(), full)

    def forward(self, window: Window, exog: Tensor | None, stat: Tensor) -> Tensor:
        """exog (..., X), stat (..., S) in their own units, NaN where unknown -> (..., inputs).

        exog may be None where the spec has none.
        """
        parts = [window.z]
        if self.sees_gaps:
            parts += [window.newest, window.share]
        if self.n_exog and exog is not None:
            known = ~exog.isnan()  # (..., X)
            parts.append(((exog - self.exog_loc) / self.exog_scale).where(known, 0.0))
            parts.append(known[..., self.n_calendar :].float())
        if self.n_stat:
            parts.append(self.static(stat))
        return torch.cat(parts, -1)

    def static(self, stat: Tensor) -> Tensor:
        """stat (..., S) in its own units -> (..., n_stat), scaled, zero where unknown."""
        return ((self.columns(stat) - self.stat_loc) / self.stat_scale).nan_to_num(0.0)

    def columns(self, stat: Tensor) -> Tensor:
        """stat (..., S), numbers and places of categories -> (..., n_stat), a column a category."""
        if not any(self.categories):
            return stat
        parts = []
        values = stat.chunk(stat.shape[-1], -1)  # (..., 1) each
        for value, n in zip(values, self.categories, strict=True):
            places = torch.arange(n, device=stat.device)
            one_hot = (value == places).to(stat.dtype)  # (..., n)
            parts.append(one_hot.where(~value.isnan(), value) if n else value)
        return torch.cat(parts, -1)


def _norm(values: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(values, dim=-1, keepdim=True)
    return norm
