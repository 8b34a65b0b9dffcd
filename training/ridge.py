"""A linear map from a window to every horizon, solved from the moments of windows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

_TINY = 1e-9


class Trust(NamedTuple):
    """How far regression on the windows is trusted beyond the map that it is drawn to.

    belief: in that map, as the inverse of the sum of the squares by which its weights are expected
    to be wrong, in units of the window's scale. share: of the regression in the line; the rest is
    the map itself.
    """

    belief: float
    share: float


@dataclass(frozen=True, slots=True)
class Line:
    """A map from a scaled window to every horizon: weight (horizon, lags), bias (horizon,)."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True)
class Moments:
    """What least squares need of windows and of what followed them, in each window's scale.

    gram: (lags + 1, lags + 1), moment: (lags + 1, horizon), weighted means over origins; a last
    column of ones. square: the mean square of what followed.
    """

    gram: Tensor
    moment: Tensor
    square: float

    def errors(self, maps: Tensor) -> Tensor:
        """(C,) the mean squared error of each of maps (C, horizon, lags)."""
        own = ((maps @ self.gram[:-1, :-1]) * maps).sum((1, 2))
        crossed = (maps * self.moment[:-1].T).sum((1, 2))
        return (self.square + (own - 2 * crossed) / maps.shape[1]).clamp_min(_TINY)

    def line(self, drawn_to: Tensor, stretches: float, trust: Trust) -> Line:
        """Ridge regression of what followed on the windows, drawn to the map (horizon, lags).

        It minimizes the mean squared error plus a penalty on the distance from that map's weights
        (Hoerl & Kennard 1970). As a posterior mode the penalty is the variance of the errors over
        that of a weight, divided by `stretches`, the number of origins that do not overlap: the
        less there is to see, the nearer the line stays to the map.
        """
        lags = drawn_to.shape[1]
        penalty = trust.belief * lags * float(self.errors(drawn_to[None])[0]) / stretches
        ridge = max(_TINY, penalty) * torch.eye(lags + 1, dtype=torch.float64)
        missed = self.moment - self.gram[:, :-1] @ drawn_to.T  # (lags + 1, horizon)
        change = trust.share * torch.linalg.solve(self.gram + ridge, missed)
        return Line(drawn_to + change[:-1].T, change[-1])


def moments_of(pairs: Iterable[tuple[Tensor, Tensor, Tensor]]) -> Moments | None:
    """Of windows (N, lags), what followed (N, horizon) and weights (N,), float64; None without any.

    An origin counts by the square of its weight. Missing values are zero in the window, as the
    network sees them; targets that are missing (NaN) are left out.
    """
    gram = moment = known = torch.zeros(())
    squares = total = 0.0
    for z, target, weight in pairs:
        by = weight[:, None]  # (N, 1)
        rows = torch.cat([z, z.new_ones(len(z), 1)], 1) * by  # (N, lags + 1)
        followed = target.nan_to_num(0.0) * by  # (N, horizon)
        known = known + (target.isfinite() * by.square()).sum(0)
        squares += float(followed.square().sum())
        gram = gram + rows.T @ rows
        moment = moment + rows.T @ followed
        total += float(weight.square().sum())
    if not total:
        return None
    square = squares / max(_TINY, float(known.sum()))
    return Moments(gram / total, moment / known.clamp_min(_TINY), square)
