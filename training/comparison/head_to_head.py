"""A task's versions in full: side by side with the baselines, and each against the champion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from training.backtest import Backtest
from training.compare import Comparison, compared
from training.comparison.changes import Changes, changes
from training.comparison.contest import Contest, contest
from training.comparison.joint import Joint
from training.load_version import load_manifest
from training.promotion.incumbents import champion_of, label
from training.registry import Registry, RegistryError
from training.scores import METRICS
from training.versions import Version

Live = Mapping[int, Mapping[str, float]]
"""Scores of the forecasts that were served, by version and metric."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A version against the one that it is held to. contest: None without windows in common.
    changed: None where a manifest is not to be had.
    """

    version: int
    against: int
    contest: Contest | None
    changed: Changes | None


@dataclass(frozen=True, slots=True)
class HeadToHead:
    """comparison: of all versions. shared: the backtest of those that have windows in common, on
    the windows that all of them answered; a baseline is scored on those of them that it answered.
    pairs: each version against the champion,
    or the newest where there is none.
    """

    comparison: Comparison
    shared: Backtest | None
    pairs: tuple[Pair, ...]
    live: Live


def head_to_head(
    registry: Registry,
    task: str,
    every: Sequence[Version],
    chosen: Sequence[Version],
    joint: Joint,
    *,
    live: Live | None = None,
) -> HeadToHead:
    """Put what is known of versions together.

    every: all versions of the task, newest first; chosen: those to compare. live: scores of served
    forecasts, by version.
    """
    shared = _shared(joint)
    comparison = compared(task, chosen)
    rows = []
    for row in comparison.rows:
        took = joint.latency.get(row.version)
        new: dict[str, Any] = {}
        if took is not None:
            new |= {"step_ms": took.step_ms, "batch_ms": took.batch_ms}
        if shared is not None and label(row.version) in shared.scores:
            overall = shared.scores[label(row.version)].overall
            new |= {name: _number(overall[name]) for name in METRICS}
            new |= {"windows": shared.windows.digest}
        rows.append(replace(row, **new))
    lacking = tuple(joint.lacking[number] for number in sorted(joint.lacking))
    # what tags said of windows is no matter where all were put on the same ones
    told = comparison.warnings if shared is None or joint.lacking else _not_of_windows(comparison)
    said = (*told, *(f"{each}." for each in lacking))
    timed = "now" if joint.latency else comparison.timed
    return HeadToHead(
        replace(comparison, rows=tuple(rows), warnings=said, timed=timed),
        shared,
        _pairs(registry, every, chosen, joint.result),
        {} if live is None else live,
    )


def _shared(joint: Joint) -> Backtest | None:
    """On the windows that all versions answered; a baseline on those of them that it answered."""
    result = joint.result
    if result is None:
        return None
    ours = [name for name in result.forecasts if name.startswith("version ")]
    whole = result.among(ours)
    rest = [name for name in result.forecasts if name not in ours]
    if not rest:
        return whole
    alone = [result.among([*ours, name]) for name in rest]
    scores = {name: whole.scores[name] for name in ours} | {
        name: each.scores[name] for name, each in zip(rest, alone, strict=True)
    }
    forecasts = {name: result.forecasts[name] for name in scores}
    return replace(whole, forecasts=forecasts, scores=scores)


def _pairs(
    registry: Registry,
    every: Sequence[Version],
    chosen: Sequence[Version],
    result: Backtest | None,
) -> tuple[Pair, ...]:
    champion = champion_of(every)
    against = champion if champion is not None else next(iter(chosen), None)
    if against is None:
        return ()
    pairs = []
    for version in chosen:
        if version.number == against.number:
            continue
        names = (label(version.number), label(against.number))
        both = result is not None and all(name in result.forecasts for name in names)
        found = contest(result, *names) if result is not None and both else None
        pairs.append(
            Pair(version.number, against.number, found, _changed(registry, against, version))
        )
    return tuple(pairs)


def _changed(registry: Registry, before: Version, after: Version) -> Changes | None:
    try:
        old, new = load_manifest(registry, before), load_manifest(registry, after)
    except RegistryError:
        return None
    costs = [each.facts.cost if each.facts else None for each in (before, after)]
    return changes(old, new, *costs)


def _not_of_windows(comparison: Comparison) -> tuple[str, ...]:
    beginnings = ("Scored on different", "No scores are known")
    return tuple(each for each in comparison.warnings if not each.startswith(beginnings))


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if value == value else None  # noqa: PLR0124 - NaN has no value
