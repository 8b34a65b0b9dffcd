"""`GET /v1/models/{model}/scores`: how good forecasts were, now that their truth is known."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from math import sqrt
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict

from service.live.drift import THRESHOLD
from service.openapi import problems
from service.parts import Parts, PartsOf
from service.streams.engine import now_ms
from service.streams.refusals import not_kept
from store.drift import Drift, read_drift
from store.errors import StoreError
from store.scores import HOUR, Scores, read_scores, total

router = APIRouter(prefix="/v1/models", tags=["models"])

_PATIENCE = 1.0  # seconds
_MOST_ROWS = 20_000
_DESCRIBED = ConfigDict(use_attribute_docstrings=True)
ModelName = Annotated[str, Path(max_length=64, examples=["load-hourly"])]


class LiveScore(BaseModel):
    """Means over the forecasts of one version at one lead whose truth arrived in some time."""

    model_config = _DESCRIBED

    version: str
    lead: int
    """Steps from the last observation that the forecast knew to the one that it is about."""
    since: str
    """Begin of the hour, or of the first hour, in which the truth arrived."""
    scored: int
    """How many forecasts."""
    scaled_error: float
    """Mean of |y - median| / s, where s is the mean absolute seasonal difference within the
    version's window at the time of the forecast: as MASE, of the window only."""
    root_squared_error: float
    """Root of the mean of ((y - median) / s)²."""
    quantile_loss: float
    """Mean pinball loss over the version's quantiles, over s."""
    coverage_80: float | None
    """The share of truths within the central 80 % interval; null where the version has none."""
    coverage_95: float | None
    """The same of 95 %."""


class DriftTest(BaseModel):
    """The sequential test for forecasts that become worse, of one version at one lead."""

    model_config = _DESCRIBED

    version: str
    lead: int
    statistic: float
    """Grows while the newest losses rank above the earlier ones; at `threshold` drift is raised."""
    threshold: float
    """Within N blocks a false alarm has a probability of N / threshold at most."""
    blocks: int
    """How many means of losses it has looked at."""
    since: str
    """When it began: with the version's first score, since it serves."""
    raised_at: str | None


class LiveScores(BaseModel):
    """Live scores of a task's versions."""

    model_config = _DESCRIBED

    model: str
    totals: list[LiveScore]
    """By version and lead, over all the hours asked for."""
    hours: list[LiveScore]
    """By hour, the newest first, then by version and lead."""
    drift: list[DriftTest]


@router.get("/{model}/scores", summary="Live scores", responses=problems(404, 503))
async def get_scores(
    model: ModelName,
    parts: PartsOf,
    version: Annotated[str | None, Query(max_length=9)] = None,
    hours: Annotated[int, Query(ge=1, le=24 * 366)] = 24 * 7,
) -> LiveScores:
    """How good forecasts of streams were, by the hour in which the truth arrived, and drift.

    What arrived in the last seconds may still be missing. At most the newest 20,000 rows.
    """
    task = parts.library.slot(model).task
    since = (now_ms() // HOUR - hours + 1) * HOUR
    try:
        rows = await parts.keeper.read(
            read_scores, task, version=version, since=since, limit=_MOST_ROWS
        )
        tests = await parts.keeper.read(read_drift, task)
    except StoreError as error:
        raise not_kept(error.reason) from None
    totals = total(rows)
    return LiveScores(
        model=model,
        totals=[_score(totals[key]) for key in sorted(totals, key=lambda key: (int(key[0]), key))],
        hours=list(map(_score, rows)),
        drift=[drift_test(each) for each in tests if version in (None, each.version)],
    )


async def drift_of(parts: Parts, task: str | None = None) -> list[Drift] | None:
    """The tests of a task, or of all; None where the store does not answer at once."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await parts.keeper.read(read_drift, task)
    except (StoreError, TimeoutError):
        return None


def drift_test(each: Drift) -> DriftTest:
    """A test as it is shown."""
    return DriftTest(
        version=each.version,
        lead=each.lead,
        statistic=each.statistic,
        threshold=THRESHOLD,
        blocks=each.blocks,
        since=time_of(each.began),
        raised_at=None if each.raised_at is None else time_of(each.raised_at),
    )


def _score(row: Scores) -> LiveScore:
    n = row.scored
    return LiveScore(
        version=row.version,
        lead=row.lead,
        since=time_of(row.bucket),
        scored=n,
        scaled_error=row.scaled_error / n,
        root_squared_error=sqrt(row.squared_error / n),
        quantile_loss=row.quantile_loss / n,
        coverage_80=None if row.covered_80 is None else row.covered_80 / n,
        coverage_95=None if row.covered_95 is None else row.covered_95 / n,
    )


def time_of(milliseconds: int) -> str:
    """Milliseconds since 1970 as ISO 8601."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
