"""What a panel holds, in figures: its size, its ends, its gaps, and the digest that names it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.panel import Panel, Series


@dataclass(frozen=True, slots=True)
class Gap:
    """The steps missing between a series' first value and its last, and the runs they form."""

    series: str
    runs: int
    steps: int


@dataclass(frozen=True, slots=True)
class Facts:
    """A panel in figures.

    n_observations: observed values; missing: steps without one. first, last: of all series, ISO
    8601 or counted. shortest, longest: steps of a series. gaps: of those series that have any.
    """

    n_series: int
    n_observations: int
    missing: int
    first: str | int
    last: str | int
    freq: str
    timezone: str
    shortest: int
    longest: int
    gaps: tuple[Gap, ...]


def describe(panel: Panel) -> Facts:
    """Count what a panel of at least one series holds."""
    timeline, series = panel.timeline, panel.series
    lengths = np.array([len(s) for s in series])
    gaps = tuple(gap for gap in map(_gap, series) if gap.steps)
    missing = sum(gap.steps for gap in gaps)
    starts = np.array([s.start for s in series])
    ends = timeline.at(starts, lengths - 1)
    first, last = timeline.format(np.array([starts.min(), ends.max()]))
    return Facts(
        n_series=len(series),
        n_observations=int(lengths.sum()) - missing,
        missing=missing,
        first=first,
        last=last,
        freq=timeline.freq,
        timezone=timeline.timezone,
        shortest=int(lengths.min()),
        longest=int(lengths.max()),
        gaps=gaps,
    )


def _gap(series: Series) -> Gap:
    missing = np.isnan(series.y)
    runs = int((missing[1:] & ~missing[:-1]).sum()) + int(missing[:1].sum())
    return Gap(series.unique_id, runs, int(missing.sum()))


def digest(panel: Panel) -> str:
    """The SHA-256 of what a panel holds, the same on every machine and whatever the source's kind.

    It is over the timeline, the covariates' names, and of each series, by unique_id: id, start, y
    and covariates as little-endian float64. The order of the series does not count.
    """
    sha = hashlib.sha256(b"gatecast panel 1\n")
    timeline = panel.timeline
    names = (panel.hist_exog, panel.futr_exog, panel.stat_exog)
    words = (timeline.kind, timeline.freq, timeline.timezone)
    for group in (words, *names):
        _count(sha, len(group))
        for word in group:
            _text(sha, word)
    for name in sorted(panel.categories):
        for word in (name, *panel.categories[name]):
            _text(sha, word)
    _count(sha, len(panel.series))
    for series in sorted(panel.series, key=lambda s: s.unique_id):
        _text(sha, series.unique_id)
        start = series.start
        at = start if isinstance(start, int) else int(start.astype("M8[us]").astype(np.int64))
        _count(sha, at)
        for array in (series.y, series.hist_exog, series.futr_exog, series.stat_exog):
            _count(sha, array.shape[0])
            sha.update(_canonical(array))
    return sha.hexdigest()


def _canonical(array: NDArray[np.float64]) -> bytes:
    """One NaN and one zero, since floats have many of the one and two of the other."""
    same = np.where(np.isnan(array), np.nan, array + 0.0)
    return same.astype("<f8").tobytes()


def _text(sha: hashlib._Hash, text: str) -> None:
    encoded = text.encode()
    _count(sha, len(encoded))
    sha.update(encoded)


def _count(sha: hashlib._Hash, number: int) -> None:
    sha.update(number.to_bytes(8, "little", signed=True))
