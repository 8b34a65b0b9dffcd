"""Whether one forecaster's losses differ from another's by more than chance, on the same windows.

Losses are (S, W): a mean over the steps of each window, S series with W windows in the order of
time, NaN where there is no window. Both forecasters have NaN at the same places.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr, stdtrit  # scipy.stats takes half a second to import

Losses = NDArray[np.float64]

FEWEST_WINDOWS = 4
"""Origins that a Diebold-Mariano test needs; fewer say nothing about their own variance."""
FEWEST_SERIES = 8
"""Series that a bootstrap over series needs: of fewer, whichever are drawn decide."""
_FEWEST_BLOCKS = 8
_DRAWS = 10_000
_CELLS = 20_000_000  # series x draws that are drawn at most, so that many series take seconds
_CHUNK = 1_000_000  # of those held at once


@dataclass(frozen=True, slots=True)
class DieboldMariano:
    """The test of equal losses. statistic: above zero where the first loses more; None where all
    differences are equal. p: two-sided. n: origins. overlap: origins whose windows overlap, and so
    the differences' autocovariances that were taken in, plus one.
    """

    statistic: float | None
    p: float
    mean: float
    n: int
    overlap: int

    @property
    def p_less(self) -> float:
        """One-sided: how likely so small a loss of the first is if both are equal."""
        return self.p / 2.0 if self.mean < 0.0 else 1.0 - self.p / 2.0


@dataclass(frozen=True, slots=True)
class Interval:
    """A bootstrap interval of the first's mean loss over the second's, less one.

    estimate, low, high: -0.05 is five per cent less. level: of the interval, 0.95 being 95 %.
    unit: what was drawn; n: of how many.
    """

    estimate: float
    low: float
    high: float
    level: float
    unit: Literal["series", "windows"]
    n: int


def diebold_mariano(a: Losses, b: Losses, *, overlap: int = 1) -> DieboldMariano | None:
    """Diebold & Mariano 1995 with the correction of Harvey, Leybourne & Newbold 1997, eqs. 8 to 10.

    The differences are averaged over series at each origin, which makes a single series of W values
    whatever the series have in common at one time (Qu, Timmermann & Zhu 2021). overlap: windows
    that share steps with one that is given, itself included: ceil(horizon / step size), the "h" of
    the papers. Where the long-run variance comes out negative, it is taken without autocovariances,
    as R's forecast::dm.test does. None for too few origins.
    """
    difference = _mean(a - b, 0)
    difference = difference[~np.isnan(difference)]
    n = difference.size
    if n < max(FEWEST_WINDOWS, 2 * overlap):
        return None
    mean = float(difference.mean())
    centred = difference - mean
    covariances = [float(centred[: n - k] @ centred[k:]) / n for k in range(overlap)]
    variance = (covariances[0] + 2.0 * sum(covariances[1:])) / n
    if variance <= 0.0:
        overlap, variance = 1, covariances[0] / n
    if variance <= (np.finfo(np.float64).eps * abs(mean)) ** 2:
        return DieboldMariano(None, 1.0 if mean == 0.0 else 0.0, mean, n, overlap)
    correction = (n + 1 - 2 * overlap + overlap * (overlap - 1) / n) / n
    statistic = mean / math.sqrt(variance) * math.sqrt(correction)
    p = 2.0 * float(stdtr(n - 1, -abs(statistic)))
    return DieboldMariano(statistic, p, mean, n, overlap)


def bootstrap(
    a: Losses, b: Losses, *, level: float = 0.95, overlap: int = 1, seed: int = 0
) -> Interval | None:
    """The interval of mean(a) / mean(b) - 1, series drawn whole, so that all of one stay together.

    Below `FEWEST_SERIES` series, blocks of `overlap` origins are drawn instead, in a circle
    (Politis & Romano 1992). The percentiles are widened for few units as Hesterberg 2015, "What
    teachers should know about the bootstrap", section 3.3 has it: a plain percentile interval of
    ten units holds 90 % where it says 95. None where neither are enough, or b loses nothing.
    """
    there = ~np.isnan(a + b)
    over, under = _mean(a, 1), _mean(b, 1)
    kept = there.any(axis=1)
    over, under = over[kept], under[kept]
    if not over.size or under.sum() <= 0.0:
        return None
    estimate = float(over.mean() / under.mean() - 1.0)
    if over.size >= FEWEST_SERIES:
        unit: Literal["series", "windows"] = "series"
        block = 1
    else:
        unit, block = "windows", overlap
        over, under = _mean(a, 0), _mean(b, 0)
        kept = ~np.isnan(over + under)
        over, under = over[kept], under[kept]
        if over.size < _FEWEST_BLOCKS * block:
            return None
    ratios = _drawn(over, under, block, seed)
    ratios = ratios[np.isfinite(ratios)]
    tail = _widened((1.0 - level) / 2.0, over.size // block)
    low, high = np.quantile(ratios, [tail, 1.0 - tail]) - 1.0 if ratios.size else (np.nan, np.nan)
    if not np.isfinite(low + high):
        return None
    return Interval(estimate, float(low), float(high), level, unit, over.size)


def worse(a: Losses, b: Losses, axis: int) -> tuple[Losses, NDArray[np.int64]]:
    """One-sided p, along an axis, of a paired t test that a loses no more than b; and n of each.

    NaN below `FEWEST_WINDOWS`. Where all differences are equal p is 0 or 1.
    """
    difference = a - b
    n = (~np.isnan(difference)).sum(axis)
    mean = _mean(difference, axis)
    spread = np.sqrt(_mean((difference - np.expand_dims(mean, axis)) ** 2, axis))
    error = spread / np.sqrt(np.maximum(n - 1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(error > 0.0, mean / error, np.sign(mean) * np.inf)
    statistic = np.where((error == 0.0) & (mean == 0.0), -np.inf, statistic)
    p = stdtr(np.maximum(n - 1, 1), -statistic)
    return np.asarray(np.where(n >= FEWEST_WINDOWS, p, np.nan)), n


def _drawn(over: Losses, under: Losses, block: int, seed: int) -> Losses:
    """The ratio of sums in each draw: as many units as there are, in runs of `block`."""
    random, size = np.random.default_rng(seed), over.size
    runs, draws = -(-size // block), max(200, min(_DRAWS, _CELLS // size))
    ratios = []
    for start in range(0, draws, step := max(1, _CHUNK // size)):
        starts = random.integers(size, size=(min(step, draws - start), runs, 1))
        rows = ((starts + np.arange(block)) % size).reshape(len(starts), -1)[:, :size]
        top, bottom = over[rows].sum(1), under[rows].sum(1)
        ratios.append(top[bottom > 0.0] / bottom[bottom > 0.0])
    return np.concatenate(ratios)


def _widened(tail: float, n: int) -> float:
    """The tail of a percentile interval of n units that is as wide as a t interval."""
    return float(ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, tail)))


def _mean(values: Losses, axis: int) -> Losses:
    """Over what is not NaN; NaN, without a warning, of nothing."""
    kept = ~np.isnan(values)
    count = kept.sum(axis)
    total = np.where(kept, values, 0.0).sum(axis)
    return np.asarray(np.where(count, total, np.nan) / np.maximum(count, 1))
