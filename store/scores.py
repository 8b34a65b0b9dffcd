"""Live scores: how good the forecasts of a version were, by lead and by the hour of their truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from store.keys import insert
from store.tables import scores as table

HOUR = 3_600_000
"""Milliseconds of a bucket."""

_COLUMNS = tuple(column.name for column in table.columns)
_KEY = _COLUMNS[:4]
_CONFLICT = f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET " + ", ".join(
    f"{name} = scores.{name} + excluded.{name}" for name in _COLUMNS[4:]
)


@dataclass(frozen=True, slots=True)
class Scores:
    """Sums over forecasts of one version whose truth arrived in one hour.

    lead: steps from the forecast's origin to the step that it is about. bucket: the hour's begin,
    milliseconds since 1970. scored: how many forecasts. scaled_error, squared_error, quantile_loss:
    sums of |y - median| / s, its square, and the mean pinball loss / s, where s is the stream's
    scale. covered_80, covered_95: how many truths lay within the central interval; None where the
    version has no such quantiles.
    """

    task: str
    version: str
    lead: int
    bucket: int
    scored: int
    scaled_error: float
    squared_error: float
    quantile_loss: float
    covered_80: float | None
    covered_95: float | None


def add_scores(connection: Connection, added: Sequence[Scores]) -> None:
    """Add sums to those that are there. Needs a writing transaction; no key may be there twice."""
    rows = sorted(map(_row, added))  # one order for all, so that no two wait for each other
    if rows:
        insert(connection, table, _COLUMNS, rows, _CONFLICT)


def read_scores(
    connection: Connection,
    task: str,
    *,
    version: str | None = None,
    since: int = 0,
    until: int | None = None,
    limit: int = 100_000,
) -> list[Scores]:
    """A task's sums, the newest hour first, then by version and lead.

    version: None for all. since, until: milliseconds since 1970, until excluded; hours that begin
    in between. limit: rows at most.
    """
    query = select(table).where(table.c.task == task, table.c.bucket >= since)
    if version is not None:
        query = query.where(table.c.version == version)
    if until is not None:
        query = query.where(table.c.bucket < until)
    query = query.order_by(table.c.bucket.desc(), table.c.version, table.c.lead).limit(limit)
    return [Scores(*row) for row in connection.execute(query)]


def total(rows: Iterable[Scores]) -> dict[tuple[str, int], Scores]:
    """The sums over all hours, by version and lead; their bucket is the earliest."""
    found: dict[tuple[str, int], Scores] = {}
    for each in rows:
        key = each.version, each.lead
        found[key] = each if key not in found else _plus(found[key], each)
    return found


def _plus(one: Scores, other: Scores) -> Scores:
    sums = [_sum(a, b) for a, b in zip(_row(one)[4:], _row(other)[4:], strict=True)]
    return Scores(one.task, one.version, one.lead, min(one.bucket, other.bucket), *sums)


def _sum(one: Any, other: Any) -> Any:
    return None if one is None or other is None else one + other


def _row(each: Scores) -> tuple[Any, ...]:
    return tuple(getattr(each, name) for name in _COLUMNS)
