"""Rolling-origin backtest: forecasters and baselines on the same windows, none seeing ahead."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.context import Context
from models.forecaster import Forecaster
from models.predict import predict
from models.spec import DEFAULT_QUANTILES, Spec
from models.timeline import Clock
from training.baselines import Baseline
from training.contexts import contexts
from training.origins import Windows, rolling_windows
from training.panel import Panel
from training.scores import LOSSES, METRICS, Forecasts, Scores, score

Values = NDArray[np.float64]

_BLOCK = 256  # series whose contexts are held at once, to bound memory


@dataclass(frozen=True, slots=True)
class Contender:
    """A forecaster to be judged: what it reads and how it forecasts.

    forecast: contexts -> (n, spec.horizon, spec.outputs), data units. Contexts are made by `spec`,
    so forecasters with other covariates, calendars or quantiles meet on the same windows.
    """

    spec: Spec
    forecast: Callable[[Sequence[Context]], Values]


@dataclass(frozen=True, slots=True)
class Backtest:
    """The windows, what each forecaster said of them, and the scores, by name.

    levels: the quantile levels that "wql" is over.
    """

    windows: Windows
    levels: tuple[float, ...]
    forecasts: dict[str, Forecasts]
    scores: dict[str, Scores]

    def among(self, names: Sequence[str]) -> Backtest:
        """The same backtest on the windows that all of `names` have forecasts for."""
        shared = self.windows.origins >= 0
        for name in names:
            shared = shared & self.forecasts[name].answered
        windows = replace(
            self.windows,
            origins=np.where(shared, self.windows.origins, -1),
            truth=np.where(shared[..., None], self.windows.truth, np.nan),
            scale=np.where(shared, self.windows.scale, np.nan),
        )
        return judge(windows, {name: self.forecasts[name] for name in names}, self.levels)

    def better(self, a: str, b: str, metric: str = "mase") -> bool:
        """Whether a has less of `metric` than b, on the windows that both have forecasts for.

        False where either has no value. No test of significance. Raises ValueError for a coverage,
        of which neither more nor less is better.
        """
        if metric not in LOSSES:
            raise ValueError(f"{metric!r} is none of {', '.join(LOSSES)}")
        scores = self.among((a, b)).scores
        return scores[a].overall[metric] < scores[b].overall[metric]

    def summary(self) -> dict[str, dict[str, float]]:
        """By name, the metrics and counts, plain floats; what has no value is not there."""
        return {
            name: {
                **{m: value for m, value in scores.overall.items() if np.isfinite(value)},
                "n_series": float(scores.n_series),
                "n_windows": float(scores.n_windows),
                "n_failed": float(scores.n_failed),
                "n_unscaled": float(scores.n_unscaled),
            }
            for name, scores in self.scores.items()
        }

    def by_series(self) -> pl.DataFrame:
        """A row a forecaster and series: model, unique_id, and the metrics; null without value."""
        ids = self.windows.unique_ids
        return _table("unique_id", ids, {n: s.by_series for n, s in self.scores.items()})

    def by_horizon(self) -> pl.DataFrame:
        """A row a forecaster and step ahead: model, step (from 1), and the metrics."""
        steps = range(1, self.windows.horizon + 1)
        return _table("step", steps, {n: s.by_horizon for n, s in self.scores.items()})


def contender(forecaster: Forecaster, *, batch_size: int = 128) -> Contender:
    """A trained forecaster as a contender."""
    return Contender(
        forecaster.spec, lambda batch: predict(forecaster, batch, batch_size=batch_size)
    )


def backtest(
    panel: Panel,
    spec: Spec,
    contenders: Mapping[str, Contender],
    baselines: Sequence[Baseline] = (),
    *,
    n_windows: int = 1,
    step_size: int | None = None,
    cutoff: Clock | None = None,
    seed: int = 0,
    told: Callable[[str], None] = lambda _: None,
) -> Backtest:
    """Forecast every window with every contender and baseline, and score them.

    spec says the horizon, the season that errors are scaled by (its first) and the quantile levels
    (the default ones for a point head); baselines are fitted to it. `n_windows`, `step_size` and
    `cutoff` are those of `rolling_windows`; seed draws the series of a baseline that takes a few.
    told: called with the name of each forecaster before it forecasts.

    Raises ValueError where no series has a window, two share a name, a contender's horizon is too
    short, or a forecast has the wrong shape.
    """
    names = [*contenders, *(baseline.name for baseline in baselines)]
    if len(set(names)) < len(names):
        raise ValueError(f"every forecaster has its own name, not {', '.join(names)}")
    windows = rolling_windows(
        panel,
        horizon=spec.horizon,
        season=spec.season[0] if spec.season else 1,
        n_windows=n_windows,
        step_size=step_size,
        cutoff=cutoff,
    )
    levels = spec.quantiles or DEFAULT_QUANTILES
    there = windows.origins >= 0
    forecasts: dict[str, Forecasts] = {}
    for name, one in contenders.items():
        told(name)
        forecasts[name] = _forecasts(panel, windows, name, one, there)
    bare = spec.model_copy(update={"quantiles": levels})
    for baseline in baselines:
        asked = there & _sample(len(there), baseline.max_series, seed)[:, None]
        one = _fitted(baseline, bare)
        told(baseline.name)
        forecasts[baseline.name] = _forecasts(panel, windows, baseline.name, one, asked)
    return judge(windows, forecasts, levels)


def judge(
    windows: Windows, forecasts: Mapping[str, Forecasts], levels: tuple[float, ...]
) -> Backtest:
    """Score forecasts that exist."""
    scores = {name: score(windows, each, levels) for name, each in forecasts.items()}
    return Backtest(windows, levels, dict(forecasts), scores)


def _fitted(baseline: Baseline, spec: Spec) -> Contender:
    return Contender(spec, lambda batch: baseline.forecast(batch, spec))


def _forecasts(
    panel: Panel, windows: Windows, name: str, one: Contender, asked: NDArray[np.bool_]
) -> Forecasts:
    if one.spec.horizon < windows.horizon:
        raise ValueError(f"{name} forecasts {one.spec.horizon} steps, not {windows.horizon}")
    values = np.full((*windows.truth.shape, one.spec.outputs), np.nan)  # (S, W, horizon, Q)
    rows = np.flatnonzero(asked.any(axis=1))
    for block in (rows[start : start + _BLOCK] for start in range(0, rows.size, _BLOCK)):
        batch: list[Context] = []
        for row in block:
            series = panel.series[windows.series[row]]
            batch += contexts(panel, series, one.spec, windows.origins[row, asked[row]].tolist())
        said = np.asarray(one.forecast(batch), dtype=np.float64)
        shape = (len(batch), one.spec.horizon, one.spec.outputs)
        if said.shape != shape:
            raise ValueError(f"{name} gave {said.shape} for {shape}")
        here = np.zeros_like(asked)
        here[block] = asked[block]
        values[here] = said[:, : windows.horizon]
    return Forecasts(one.spec.quantiles, values, asked)


def _sample(n: int, most: int | None, seed: int) -> NDArray[np.bool_]:
    drawn = np.ones(n, dtype=np.bool_)
    if most is not None and most < n:
        drawn[:] = False
        drawn[np.random.default_rng(seed).choice(n, most, replace=False)] = True
    return drawn


def _table(
    key: str, keys: Sequence[str] | range, values: Mapping[str, Mapping[str, Values]]
) -> pl.DataFrame:
    rows = [
        pl.DataFrame(
            {
                "model": [name] * len(keys),
                key: list(keys),
                **{metric: by_metric[metric] for metric in METRICS},
            }
        )
        for name, by_metric in values.items()
    ]
    return pl.concat(rows).fill_nan(None)
