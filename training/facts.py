"""What manifest and registry say of the data that a forecaster was fitted to, and of its scores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.manifest import DataFacts, Score, Standing
from models.manifest import Scores as ManifestScores
from store.settings import masked
from training.backtest import Backtest
from training.panel import Panel, Series


def data_facts(panel: Panel, source: str, cutoffs: NDArray[np.int64] | None = None) -> DataFacts:
    """Size, range and digest of what a fit saw: the leading `cutoffs` (n_series,) steps, or all.

    source: where it came from; a password in it is masked. Raises ValueError for no step at all.
    """
    seen = _seen(panel, cutoffs)
    ends = np.array([_ends(panel, series) for series in seen if len(series)])  # (n, 2)
    if not ends.size:
        raise ValueError("the fit saw no step of any series")
    first, last = panel.timeline.format(np.array([ends.min(), ends.max()]))
    return DataFacts(
        n_series=len(ends),
        n_observations=sum(int((~np.isnan(series.y)).sum()) for series in seen),
        first=first,
        last=last,
        digest=_digest(panel, seen),
        source=masked(source),
    )


def _seen(panel: Panel, cutoffs: NDArray[np.int64] | None) -> tuple[Series, ...]:
    """The series as the fit saw them, covariates known beyond the last step left out."""
    ends = [len(series) for series in panel.series] if cutoffs is None else cutoffs.tolist()
    return tuple(
        replace(
            series,
            y=series.y[:end],
            hist_exog=series.hist_exog[:end],
            futr_exog=series.futr_exog[:end],
        )
        for series, end in zip(panel.series, ends, strict=True)
    )


def _digest(panel: Panel, seen: Sequence[Series]) -> str:
    """SHA-256, in hexadecimal, of ids, stamps, values and covariates.

    Neither the order of the series nor the bits of a NaN count.
    """
    names = (panel.hist_exog, panel.futr_exog, panel.stat_exog)
    sha = hashlib.sha256(repr((panel.timeline.model_dump(mode="json"), names)).encode())
    if panel.categories:
        sha.update(repr(sorted(panel.categories.items())).encode())
    for series in sorted(seen, key=lambda series: series.unique_id):
        sha.update(repr((series.unique_id, str(series.start))).encode())
        for values in (series.y, series.hist_exog, series.futr_exog, series.stat_exog):
            plain = np.where(np.isnan(values), np.nan, values)
            sha.update(repr(plain.shape).encode() + plain.astype("<f8").tobytes())
    return sha.hexdigest()


def scores(backtest: Backtest, name: str, baselines: Sequence[str]) -> ManifestScores:
    """The scores of the forecaster `name` and of `baselines`, each on the windows it answered."""
    return ManifestScores(
        windows=backtest.windows.digest,
        step_size=backtest.windows.step_size,
        season=backtest.windows.season,
        horizon=backtest.windows.horizon,
        forecaster=_standing(backtest, name),
        baselines={baseline: _standing(backtest, baseline) for baseline in baselines},
    )


def _standing(backtest: Backtest, name: str) -> Standing:
    scores = backtest.scores[name]
    return Standing(
        n_series=scores.n_series,
        n_windows=scores.n_windows,
        metrics={
            metric: Score(
                overall=_number(overall),
                by_horizon=tuple(_number(value) for value in scores.by_horizon[metric]),
            )
            for metric, overall in scores.overall.items()
        },
    )


def _ends(panel: Panel, series: Series) -> NDArray[np.generic]:
    return np.asarray(panel.timeline.at(series.start, np.array([0, len(series) - 1])))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
