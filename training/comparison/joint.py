"""Versions and baselines on the same windows: from what was kept with them, or scored anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.spec import Spec
from models.timeline import Clock
from store.conventions import CHAMPION
from training.backtest import Backtest, backtest, contender, judge
from training.baselines import default_baselines
from training.latency import Latency, measure_latency
from training.load_version import load_version
from training.panel import Panel
from training.promotion.evidence import fetch_kept
from training.promotion.incumbents import label, unfit
from training.registry import Registry, RegistryError
from training.versions import Version

AGAIN = "gatecast compare TASK --data DATA scores all versions on the same windows"


@dataclass(frozen=True, slots=True)
class Joint:
    """A backtest that versions are in as `label(number)`.

    result: None where no version has a backtest. lacking: why a version is not in it, by number.
    latency: of the versions, measured here, by number; empty where they were not loaded.
    """

    result: Backtest | None
    lacking: dict[int, str]
    latency: Mapping[int, Latency] = field(default_factory=dict)


def kept_together(registry: Registry, found: Sequence[Version]) -> Joint:
    """The windows that most versions were scored on, and all that was said of them.

    Of windows that as many were scored on, those of the champion, else of the newest version.
    """
    lacking: dict[int, str] = {}
    by_windows: dict[str, list[Backtest]] = {}
    rank: dict[str, tuple[bool, int]] = {}
    for version in found:
        try:
            kept = fetch_kept(registry, version)
        except RegistryError as error:
            lacking[version.number] = f"{error.reason}: {AGAIN}"
            continue
        digest = kept.windows.digest
        by_windows.setdefault(digest, []).append(kept)
        best = rank.get(digest, (False, 0))
        rank[digest] = max(best, (CHAMPION in version.aliases, version.number))
    if not by_windows:
        return Joint(None, lacking)
    labels = {label(version.number): version.number for version in found}

    def told(digest: str) -> set[int]:
        names = {name for kept in by_windows[digest] for name in kept.forecasts}
        return {number for name, number in labels.items() if name in names}

    chosen = max(by_windows, key=lambda digest: (len(told(digest)), rank[digest]))
    forecasts = {
        name: each
        for kept in by_windows[chosen]
        for name, each in kept.forecasts.items()
        if name in labels or not name.startswith("version ")
    }
    result = by_windows[chosen][0]
    ordered = sorted(forecasts, key=lambda name: (-labels.get(name, 0), name))
    joint = judge(result.windows, {name: forecasts[name] for name in ordered}, result.levels)
    for number in set(labels.values()) - told(chosen):
        lacking.setdefault(number, f"version {number} was never scored on these windows: {AGAIN}")
    return Joint(joint, lacking)


def scored_together(
    registry: Registry,
    found: Sequence[Version],
    specs: Mapping[int, Spec],
    panel: Panel,
    *,
    n_windows: int,
    step_size: int | None,
    cutoff: Clock | None,
) -> Joint:
    """Score versions and baselines anew, as far ahead as all of them forecast.

    specs: of the versions that can be loaded. Raises what `backtest` raises, and ValueError where
    no version can be scored.
    """
    judged = common(list(specs.values()))
    lacking: dict[int, str] = {}
    contenders, latency = {}, {}
    for version in found:
        number = version.number
        try:
            forecaster, manifest = load_version(registry, version)
        except RegistryError as error:
            lacking[number] = error.reason
            continue
        why = unfit(forecaster.spec, judged)
        if why is not None:
            lacking[number] = f"version {number} cannot be scored with the others: {why}"
            continue
        contenders[label(number)] = contender(forecaster)
        latency[number] = measure_latency(forecaster, manifest.golden.context(manifest.spec))
    if not contenders:
        raise ValueError("no version can be scored: " + "; ".join(lacking.values()))
    result = backtest(
        panel,
        judged,
        contenders,
        default_baselines(judged),
        n_windows=n_windows,
        step_size=step_size,
        cutoff=cutoff,
    )
    return Joint(result, lacking, latency)


def common(specs: Sequence[Spec]) -> Spec:
    """The newest version's spec, with the shortest horizon and everybody's covariates."""
    newest = specs[0]
    alike = [spec for spec in specs if spec.timeline == newest.timeline]
    roles = ("hist_exog", "futr_exog", "stat_exog")
    names = {
        role: tuple(dict.fromkeys(n for s in alike for n in getattr(s, role))) for role in roles
    }
    categories = {name: known for s in reversed(alike) for name, known in s.categories.items()}
    shared = {"horizon": min(s.horizon for s in alike), "categorical": tuple(categories.items())}
    return newest.model_copy(update=shared | names)
