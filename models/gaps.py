"""Missing values of a window, filled in for the network's look at it; what is stored keeps them.

Zeros in their place, the mean of the window, tell the linear map of a seasonal series something
false, as far as a season swings. Decision 28 has what that cost.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .spec import Spec


def period_of(spec: Spec) -> int:
    """Steps from one value to that which stands in for it: the shortest season, if it fits."""
    shortest = min((season for season in spec.season if season > 1), default=1)
    return shortest if shortest <= spec.input_size else 1


def filled(values: Tensor, period: int) -> Tensor:
    """values (..., T), NaN where nothing was observed, and the same with other seasons' for those.

    A step takes the newest value before it that lies whole periods back, or else the first one
    after it. A place of the season that was never seen stays missing; only before the first value
    of all, in what a young series has no past for, it takes its neighbour's.
    """
    if period == 1:
        return _by_neighbours(values)
    by_season = _by_season(values, period)
    lacking = values[..., 0].isnan() & by_season.isnan().any(-1)  # (...)
    if lacking.any():  # by few windows, mostly
        rows = by_season[lacking]  # (n, T)
        unseen = (~values[lacking].isnan()).int().cummax(-1).values == 0  # before the first value
        by_season[lacking] = torch.where(rows.isnan() & unseen, _by_neighbours(rows), rows)
    return by_season


def _by_season(values: Tensor, period: int) -> Tensor:
    """Carried over whole periods, forwards, and backwards to where there is nothing before."""
    more = -values.shape[-1] % period
    if more:
        values = torch.cat([values.new_full((*values.shape[:-1], more), torch.nan), values], -1)
    rows = list(torch.split(values, period, -1))  # (..., period) each
    for k in range(1, len(rows)):
        rows[k] = torch.where(rows[k].isnan(), rows[k - 1], rows[k])
    for k in range(len(rows) - 2, -1, -1):
        rows[k] = torch.where(rows[k].isnan(), rows[k + 1], rows[k])
    return torch.cat(rows, -1)[..., more:]


def _by_neighbours(values: Tensor) -> Tensor:
    """Carried over steps, forwards, and backwards to where there is nothing before."""
    seen, last = values.eq(values), values.shape[-1] - 1  # a NaN equals nothing
    step = torch.arange(last + 1, dtype=torch.int32, device=values.device)
    before = torch.where(seen, step, -1).cummax(-1).values  # (..., T)
    first = torch.where(seen, step, last).amin(-1, keepdim=True)  # (..., 1)
    return values.gather(-1, torch.where(before < 0, first, before).long())
