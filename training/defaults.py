"""What a fit does when nothing is said: sizes from the seasons and from how much data there is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.spec import Cell, Spec
from models.timeline import default_calendar, default_seasons
from training.panel import Panel
from training.schedule import Schedule, Start

_LONGEST_WINDOW = 336
_MUCH, _LITTLE = 50_000, 2_000
"""Observed values from which the larger network pays, and below which training is to end before it
has learnt them by heart."""
_LONG = 10_000
"""Values a series from which it pays too: of a long series the network learns what it does from
year to year, of many short ones what they have in common. Decision 32 has both; decision 33, why
training begins elsewhere then."""
_GATED = 128
"""What the larger network draws from the window: half is a little worse, twice is no better."""
_TARGETS = 6_000
"""Steps ahead that a series is learnt from in a batch, all origins together: 17 origins of 336
steps taught as much as 60, in half the time (decision 35)."""
_WINDOWS, _FEW_SERIES_WINDOWS, _FEW_SERIES = 8, 12, 4
"""Decision 13 has a table of what the gate finds by how many windows of how many series."""
_SEASONS, _SMOOTHED = 4, 64
"""Seasons in the window where there is room, and the steps that those may come to: smoothing wants
to see a season several times, and long windows have weights that little data cannot tell apart."""
_MORE_SEASONS, _LONG_SERIES = 8, 6
"""The same where the median series is so many times as long as they are: a season that comes often
is told from chance by more of it."""
_TWICE = 128
"""Steps that a window of two seasons may have; one season alone does not tell a trend from it."""
_DEEPEST = 1e-9
"""The share of the largest value below which a small one is as good as zero."""


def default_spec(
    panel: Panel, *, cell: Cell, horizon: int, season: Sequence[int] | None = None
) -> Spec:
    """A spec for the panel; season None takes the frequency's own.

    The window is the longest season that still leaves half of the median series to forecast from,
    where there is room for it as often as covers two horizons, twice where that is no more than 128
    steps, and four times where the season is short, eight where series are long beside that; the
    shortest season where none leaves so much, but it was seen; two horizons where there is no
    season.
    """
    seasons = tuple(sorted(set(default_seasons(panel.timeline.freq) if season is None else season)))
    window = _window(panel, horizon, seasons)
    observed = _observed(panel)
    large = _is_much(panel, observed.size)
    floor = log_floor(panel)
    return Spec(
        cell=cell,
        members=("lstm", "gru") if cell == "ensemble" else (),
        timeline=panel.timeline,
        horizon=horizon,
        input_size=window,
        lags=window,
        hidden_size=96 if large else 48,
        layers=2 if large else 1,
        gated=_GATED if large else 0,
        season=seasons,
        fills_gaps=True,
        transform="none" if floor is None else "log",
        log_floor=1.0 if floor is None else floor,
        resolution=_resolution(observed),
        nonnegative=bool(observed.size and observed.min() >= 0),
        calendar=default_calendar(panel.timeline),
        holidays=panel.holidays,
        hist_exog=panel.hist_exog,
        futr_exog=panel.futr_exog,
        stat_exog=panel.stat_exog,
        categorical=tuple(panel.categories.items()),
    )


def default_schedule(panel: Panel, *, horizon: int, seed: int = 0, threads: int = 1) -> Schedule:
    """A schedule for the panel: fewer and smaller batches where there is less to learn from, and
    fewer origins in them where each has more steps ahead."""
    n = _observed(panel).size
    large = _is_much(panel, n)
    longest = max((len(series) for series in panel.series), default=1)
    steps = int(np.clip(longest // 4, 16, 240))
    lanes = int(np.clip(n // steps, 16, 64))
    # no one map fits many short series that are unlike each other
    start: Start = "linear" if _is_long(panel, n) else "naive" if large else "near"
    return Schedule(
        batches=1500 if large else 600 if n >= _LITTLE else 200,
        lanes=lanes,
        steps=steps,
        origins=max(8, min(steps // 4, _TARGETS // horizon)),
        learning_rate=3e-3 if large else 2e-3 if n >= _LITTLE else 1e-3,
        # The map is a start that looks in the middle of the cycle seldom beat, and those at its end
        # do. Decision 34 has what stopping before costs.
        patience=12 if start == "linear" else 6,
        start=start,
        seed=seed,
        threads=threads,
    )


def log_floor(panel: Panel) -> float | None:
    """Where the logarithm turns linear, far below the values; None where some are not positive."""
    observed = _observed(panel)
    if not observed.size or observed.min() <= 0:
        return None
    return float(max(observed.min(), _DEEPEST * observed.max()) / 100)


def longest_window(panel: Panel, horizon: int) -> int:
    """The largest window that leaves half of the median series to forecast from."""
    return min(max(1, (_typical(panel) - horizon) // 2), _LONGEST_WINDOW)


def default_windows(panel: Panel, horizon: int) -> int:
    """Windows of a backtest by which a retraining is judged: as many as the gate needs to tell a
    gain from chance, and no more than a quarter of the median series, which the fit then misses.
    """
    wanted = _FEW_SERIES_WINDOWS if len(panel.series) < _FEW_SERIES else _WINDOWS
    return max(1, min(wanted, _typical(panel) // (4 * horizon)))


def _window(panel: Panel, horizon: int, seasons: tuple[int, ...]) -> int:
    room = longest_window(panel, horizon)
    fitting = [season for season in seasons if season <= room]
    if not fitting:
        shortest = min((season for season in seasons if season > 1), default=0)
        # a season that was seen once can be repeated, though there is nothing to learn it from
        seen = 1 < shortest <= min(_typical(panel), _LONGEST_WINDOW)
        return shortest if seen else min(2 * horizon, room)
    season = max(fitting)
    short = _SMOOTHED // season
    twice = min(2, _TWICE // season)
    more = min(_MORE_SEASONS, short, _typical(panel) // _LONG_SERIES // season)
    least = max(min(_SEASONS, short), twice, more)
    return season * min(room // season, max(least, -(-2 * horizon // season)))


def _is_much(panel: Panel, observed: int) -> bool:
    return observed >= _MUCH or _is_long(panel, observed)


def _is_long(panel: Panel, observed: int) -> bool:
    return observed >= _LONG * max(1, len(panel.series))


def _typical(panel: Panel) -> int:
    """Steps of the median series."""
    return int(np.median([len(series) for series in panel.series])) if panel.series else 1


def _resolution(observed: NDArray[np.float64]) -> float:
    """The least step between two values: one for counts, next to nothing for measurements."""
    with np.errstate(over="ignore"):  # two values may lie farther apart than floats reach
        steps = np.diff(np.unique(observed))
    least = float(steps.min()) if steps.size else 0.0
    return least if np.isfinite(least) else 0.0


def _observed(panel: Panel) -> NDArray[np.float64]:
    values = [series.y[np.isfinite(series.y)] for series in panel.series]
    return np.concatenate(values) if values else np.empty(0)
