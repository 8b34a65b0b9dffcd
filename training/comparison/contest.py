"""Two forecasters held against each other on the windows that both answered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.metrics import mean_where
from training.backtest import Backtest
from training.comparison.significance import (
    DieboldMariano,
    Interval,
    bootstrap,
    diebold_mariano,
    worse,
)

Values = NDArray[np.float64]

_MOST_GROUPS = 50


@dataclass(frozen=True, slots=True)
class Group:
    """A series, or a step ahead, and both forecasters' MASE on it.

    p: one-sided, of a paired t test over the n windows that the first is no worse; None where
    there are too few of them.
    """

    name: str
    ours: float
    theirs: float
    n: int
    p: float | None


@dataclass(frozen=True, slots=True)
class Contest:
    """How `name` did against `other`.

    mase, other_mase: means over series of the windows that both answered. relative: its MASE over
    the other's, less one, with a bootstrap interval; None where too few to draw from. series,
    steps: the groups where it does worst compared with the other, at most fifty of each;
    n_series, n_steps: how many there are. bias: mean signed error over mean absolute one, -1 .. 1,
    above zero where it forecasts too much; bias_p: two-sided, over windows.
    """

    name: str
    other: str
    mase: float
    other_mase: float
    n_series: int
    n_windows: int
    n_steps: int
    dm: DieboldMariano | None
    relative: Interval | None
    series: tuple[Group, ...]
    steps: tuple[Group, ...]
    bias: float
    bias_p: float | None
    other_bias: float

    @property
    def change(self) -> float:
        """The relative difference of MASE; -0.05 is five per cent less."""
        return self.mase / self.other_mase - 1.0


def contest(result: Backtest, name: str, other: str, *, level: float = 0.95) -> Contest | None:
    """Judge `name` against `other`; None where they have no scaled loss in common.

    level: of the bootstrap interval. By step ahead the losses are paired within windows, and the
    windows of a panel count as so many, common shocks or not.
    """
    shared = result.among((name, other))
    windows = shared.windows
    truth, scale = windows.truth, windows.scale[..., None]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ours, theirs = (
            (shared.forecasts[each].point - truth) / scale for each in (name, other)
        )  # (S, W, horizon), signed
    there = np.isfinite(ours) & np.isfinite(theirs)
    if not there.any():
        return None
    ours, theirs = np.where(there, ours, np.nan), np.where(there, theirs, np.nan)
    a, b = np.abs(ours), np.abs(theirs)
    by_window = mean_where(a, there, 2), mean_where(b, there, 2)  # (S, W)
    overlap = -(-windows.horizon // windows.step_size)
    mase, other_mase = (_over_series(each, there) for each in (a, b))
    signed, other_signed = (_over_series(each, there) for each in (ours, theirs))
    per_window = mean_where(ours, there, (0, 2))
    return Contest(
        name=name,
        other=other,
        mase=mase,
        other_mase=other_mase,
        n_series=int(there.any(axis=(1, 2)).sum()),
        n_windows=int(there.any(axis=2).sum()),
        n_steps=windows.horizon,
        dm=diebold_mariano(*by_window, overlap=overlap),
        relative=bootstrap(*by_window, level=level, overlap=overlap),
        series=_by_series(a, b, there, by_window, windows.unique_ids),
        steps=_by_step(a, b, there),
        bias=_share(signed, mase),
        bias_p=_two_sided(per_window, mean_where(ours, there, 2)),
        other_bias=_share(other_signed, other_mase),
    )


def _by_series(
    a: Values,
    b: Values,
    there: NDArray[np.bool_],
    by_window: tuple[Values, Values],
    names: tuple[str, ...],
) -> tuple[Group, ...]:
    ours, theirs = mean_where(a, there, (1, 2)), mean_where(b, there, (1, 2))
    p, n = worse(*by_window, axis=1)
    return _worst(names, ours, theirs, p, n)


def _by_step(a: Values, b: Values, there: NDArray[np.bool_]) -> tuple[Group, ...]:
    ours, theirs = (
        mean_where(each, ~np.isnan(each), 0)
        for each in (mean_where(a, there, 1), mean_where(b, there, 1))
    )
    cells = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    p, n = worse(*cells, axis=0)
    return _worst([f"{step}" for step in range(1, a.shape[-1] + 1)], ours, theirs, p, n)


def _worst(
    names: tuple[str, ...] | list[str],
    ours: Values,
    theirs: Values,
    p: Values,
    n: NDArray[np.int64],
) -> tuple[Group, ...]:
    """Those where we lose most compared with the other, the worst first."""
    excess = np.where(np.isnan(ours - theirs), -np.inf, ours - theirs)
    order = [int(row) for row in np.argsort(-excess, kind="stable")[:_MOST_GROUPS]]
    return tuple(
        Group(
            names[row],
            float(ours[row]),
            float(theirs[row]),
            int(n[row]),
            float(p[row]) if np.isfinite(p[row]) else None,
        )
        for row in order
        if np.isfinite(excess[row])
    )


def _over_series(cells: Values, there: NDArray[np.bool_]) -> float:
    each = mean_where(cells, there, (1, 2))
    return float(mean_where(each, ~np.isnan(each)))


def _share(signed: float, absolute: float) -> float:
    return signed / absolute if absolute > 0.0 else 0.0


def _two_sided(per_window: Values, cells: Values) -> float | None:
    """Of a mean error of nothing, over origins where they are enough, else over all windows."""
    zero = np.zeros_like
    if np.isfinite(per_window).sum() >= 4:
        p, _ = worse(per_window, zero(per_window), axis=0)
    else:
        p, _ = worse(cells.ravel(), zero(cells.ravel()), axis=0)
    return None if np.isnan(p) else 2.0 * float(min(p, 1.0 - p))
