"""Versions as a registry might tell them, made by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from training.versions import DataRange, Duel, Facts, Version, Windows

SAME = "a" * 64


def facts_of(
    mase: float | None = 0.8, *, naive: float | None = 1.0, windows: str = SAME, **changes: Any
) -> Facts:
    values: dict[str, Any] = {
        "cell": "lstm",
        "parameters": 1234,
        "digest": "d" * 64,
        "data": DataRange(first=0, last=199, n_series=3, n_observations=588),
        "windows": Windows(
            digest=windows, n_series=3, n_windows=6, step_size=6, horizon=6, season=24
        ),
        "scores": {"smape": 9.5} | ({} if mase is None else {"mase": mase}),
        "baselines": {"seasonal_naive": {} if naive is None else {"mase": naive}},
        "duels": {"seasonal_naive": Duel(forecaster=mase, baseline=naive, n_windows=6)},
    }
    return Facts(**(values | changes))


def version_of(number: int, facts: Facts | None, *aliases: str) -> Version:
    return Version(
        task="load-hourly",
        number=number,
        aliases=aliases,
        created=datetime(2026, 1, number, 12, 30, 59, tzinfo=UTC),
        run_id="0" * 32,
        source="file:///nowhere",
        facts=facts,
    )
