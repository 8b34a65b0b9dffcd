"""Where a rolling-origin backtest forecasts from, and the truth it is held against."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.metrics import mase_scale
from models.timeline import Clock
from training.panel import Panel, Series


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A series that no window was found for, and why, for people."""

    unique_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of a backtest: S series, W windows each, in the order of time.

    series: (S,) places in the panel; unique_ids: S of them.
    origins: (S, W), how many leading steps a forecast may see; -1 where the series has no such
        window.
    truth: (S, W, horizon) the steps that follow, data units, NaN where nothing was observed.
    scale: (S, W) what MASE and MSIS divide by: the mean absolute seasonal difference of what the
        window may see, nothing later; M4's, for one window at the end. NaN for a constant past.
    """

    series: NDArray[np.int64]
    unique_ids: tuple[str, ...]
    origins: NDArray[np.int64]
    truth: NDArray[np.float64]
    scale: NDArray[np.float64]
    step_size: int
    season: int
    left_out: tuple[LeftOut, ...]

    @property
    def horizon(self) -> int:
        """Steps a window."""
        return int(self.truth.shape[-1])

    @property
    def digest(self) -> str:
        """SHA-256 of what is scored: equal digests, comparable scores."""
        sha = hashlib.sha256(repr((self.unique_ids, self.truth.shape, self.season)).encode())
        truth = np.where(np.isnan(self.truth), np.nan, self.truth)  # one NaN, whatever its bits
        scale = np.where(np.isnan(self.scale), np.nan, self.scale)
        for values, kind in ((self.origins, "<i8"), (truth, "<f8"), (scale, "<f8")):
            sha.update(values.astype(kind).tobytes())
        return sha.hexdigest()


def rolling_windows(
    panel: Panel,
    *,
    horizon: int,
    season: int,
    n_windows: int = 1,
    step_size: int | None = None,
    cutoff: Clock | None = None,
) -> Windows:
    """Up to `n_windows` windows of each series, `step_size` (by default `horizon`) steps apart.

    Without `cutoff` they count back from each series' own end. `cutoff` is an instant of the
    panel's clock, on the grid or between two steps, the last that the *first* window of every
    series may see; later windows follow it as far as the data reach. Forecasters fitted on nothing
    later than the cutoff are thus judged on what they never saw.

    A window needs `season` + 1 steps of past and all its steps within the series, something
    observed in both. Series that have none are left out; if all are, ValueError gives the reason.
    """
    step = step_size or horizon
    if min(n_windows, step, horizon, season) < 1:
        raise ValueError("n_windows, step_size, horizon and season count from one")
    origins = np.full((len(panel.series), n_windows), -1, dtype=np.int64)
    left_out: list[LeftOut] = []
    for row, series in enumerate(panel.series):
        steps = step * np.arange(n_windows)
        if cutoff is None:
            candidates = len(series) - horizon - steps[::-1]
        else:
            candidates = _seen(panel, series, cutoff) + steps
        fits = (candidates > season) & (candidates + horizon <= len(series))
        usable = fits & [
            bool(fit) and _shows(series, o, horizon)
            for fit, o in zip(fits, candidates, strict=True)
        ]
        origins[row, usable] = candidates[usable]
        if not fits.any():
            needs = f"{season + 1} before a window and {horizon} in it"
            where = "" if cutoff is None else f", windows from {candidates[0]} on"
            left_out.append(LeftOut(series.unique_id, f"{len(series)} steps{where}: {needs}"))
        elif not usable.any():
            left_out.append(LeftOut(series.unique_id, "nothing observed before or in its windows"))
    chosen = np.flatnonzero((origins >= 0).any(axis=1))
    if not chosen.size:
        first = left_out[0] if left_out else LeftOut("the panel", "no series")
        raise ValueError(f"no series has a window; {first.unique_id}: {first.reason}")
    truth = np.full((chosen.size, n_windows, horizon), np.nan)
    scale = np.full((chosen.size, n_windows), np.nan)
    for row, index in enumerate(chosen):
        y = panel.series[index].y
        for window in np.flatnonzero(origins[index] >= 0):
            origin = origins[index, window]
            truth[row, window] = y[origin : origin + horizon]
            scale[row, window] = mase_scale(y[:origin], season)
    ids = tuple(panel.series[index].unique_id for index in chosen)
    return Windows(chosen, ids, origins[chosen], truth, scale, step, season, tuple(left_out))


def _seen(panel: Panel, series: Series, cutoff: Clock) -> int:
    clock = panel.timeline.at(series.start, np.arange(len(series)))
    return int(np.searchsorted(clock, np.asarray(cutoff, dtype=clock.dtype), side="right"))


def _shows(series: Series, origin: int, horizon: int) -> bool:
    observed = ~np.isnan(series.y[: origin + horizon])
    return bool(observed[:origin].any() and observed[origin:].any())
