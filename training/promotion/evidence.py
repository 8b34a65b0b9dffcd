"""What the gate looks at, gathered from the registry: bundles, tags and kept backtests."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from models.forecaster import Forecaster
from models.manifest import Manifest
from models.spec import Spec
from training.backtest import Backtest, judge
from training.comparison.contest import Contest, contest
from training.comparison.kept import KEPT, named, read_kept
from training.latency import measure_latency
from training.load_version import load_version
from training.promotion.gate import NOMINAL, Duel, Evidence
from training.promotion.incumbents import label, unfit
from training.registry import Registry, RegistryError, quiet_mlflow
from training.versions import Version

_NAIVE = "seasonal_naive"


@dataclass(frozen=True, slots=True)
class Dossier:
    """A version with what was fetched of it. fault, lacking: why bundle or backtest is not there.

    kept: its backtest, it being called `label(number)` there.
    """

    version: Version
    forecaster: Forecaster | None
    manifest: Manifest | None
    fault: str | None
    kept: Backtest | None
    lacking: str | None


def dossier(registry: Registry, version: Version) -> Dossier:
    """Fetch a version's bundle and backtest. What cannot be had is told, not raised."""
    forecaster, manifest, fault = None, None, None
    try:
        forecaster, manifest = load_version(registry, version)
    except RegistryError as error:
        fault = error.reason
    kept, lacking = None, None
    try:
        kept = fetch_kept(registry, version)
    except RegistryError as error:
        lacking = error.reason
    return Dossier(version, forecaster, manifest, fault, kept, lacking)


def fetch_kept(registry: Registry, version: Version) -> Backtest:
    """The backtest that was kept with a version; the version itself is `label(number)` in it.

    Raises RegistryError, with what to do, where there is none.
    """
    mlflow = quiet_mlflow()
    who = f"version {version.number}"
    cell = version.facts.cell if version.facts else None
    with tempfile.TemporaryDirectory() as scratch:
        try:
            if not version.run_id:
                raise ValueError("no run")
            path = mlflow.artifacts.download_artifacts(
                run_id=version.run_id,
                artifact_path=KEPT,
                dst_path=scratch,
                tracking_uri=registry.tracking_uri,
            )
            kept = read_kept(Path(path))
        except (OSError, ValueError, mlflow.exceptions.MlflowException):
            raise RegistryError(
                f"{who} has no kept forecasts (it was logged by gatecast 0.1.0, or its run is gone)"
            ) from None
    own = next(iter(kept.forecasts), cell)  # it is written first
    return named(kept, {str(own): label(version.number)})


def joined(a: Backtest, b: Backtest) -> Backtest | None:
    """Both backtests in one, where they are of the same windows."""
    if a.windows.digest != b.windows.digest:
        return None
    return judge(a.windows, {**b.forecasts, **a.forecasts}, a.levels)


def gather(candidate: Dossier, champion: Dossier | None, *, alpha: float) -> Evidence:
    """What is known of a candidate, and of it against the champion. alpha: one-sided level."""
    number = candidate.version.number
    if candidate.fault is not None or candidate.forecaster is None or candidate.manifest is None:
        return Evidence(
            number,
            champion=champion.version.number if champion else None,
            fault=candidate.fault or "its bundle is not there",
        )
    cost = candidate.version.facts.cost if candidate.version.facts else None
    now = measure_latency(
        candidate.forecaster, candidate.manifest.golden.context(candidate.manifest.spec)
    )
    coverage, n_windows = _coverage(candidate)
    against = _against(candidate, champion, alpha) if champion else _Against()
    return Evidence(
        version=number,
        champion=champion.version.number if champion else None,
        duel=_duel(candidate),
        coverage=coverage,
        champion_coverage=against.coverage or {},
        n_windows=n_windows,
        # a machine that was busy then or is busy now does not make a version slow
        step_ms=min(now.step_ms, cost.step_ms if cost else now.step_ms),
        batch_ms=min(now.batch_ms, cost.batch_ms if cost else now.batch_ms),
        bundle_bytes=cost.bytes
        if cost
        else sum(f.bytes for f in candidate.manifest.files.values()),
        lost=against.lost,
        contest=against.contest,
        uncompared=against.why,
    )


@dataclass(frozen=True, slots=True)
class _Against:
    contest: Contest | None = None
    why: str | None = None
    lost: tuple[str, ...] = ()
    coverage: dict[str, float] | None = None


def _against(candidate: Dossier, champion: Dossier, alpha: float) -> _Against:
    ours, theirs = label(candidate.version.number), label(champion.version.number)
    lost: tuple[str, ...] = ()
    if candidate.manifest is not None and champion.manifest is not None:
        lost = _lost(candidate.manifest.spec, champion.manifest.spec)
    both, why = _both(candidate, champion)
    if both is None:
        return _Against(why=why, lost=lost)
    shared = both.among((ours, theirs)).scores[theirs].overall
    found = contest(both, ours, theirs, level=1.0 - 2.0 * alpha)
    return _Against(found, None, lost, {name: shared[name] for name in NOMINAL})


def _both(candidate: Dossier, champion: Dossier) -> tuple[Backtest | None, str | None]:
    """A backtest that both are in, or why there is none."""
    kept, theirs = candidate.kept, label(champion.version.number)
    if kept is None:
        return None, candidate.lacking
    if theirs in kept.forecasts:
        return kept, None
    if champion.kept is not None and (both := joined(kept, champion.kept)) is not None:
        return both, None
    if champion.manifest is None:
        return None, champion.fault
    why = unfit(champion.manifest.spec, candidate.manifest.spec) if candidate.manifest else None
    if why is not None:
        return None, f"version {champion.version.number} cannot forecast these windows: {why}"
    return None, (
        f"version {champion.version.number} was never scored on these windows; fit again, which "
        "scores the champion beside the new version"
    )


def _lost(spec: Spec, before: Spec) -> tuple[str, ...]:
    """What clients of the champion may ask for and would not get any more."""
    lost = []
    if spec.timeline != before.timeline:
        lost.append("it runs on another frequency or time zone than the champion")
    if spec.horizon < before.horizon:
        lost.append(f"it forecasts {spec.horizon} steps, the champion {before.horizon}")
    if before.quantiles and not spec.quantiles:
        lost.append("it gives no intervals, the champion does")
    elif before.quantiles and (
        spec.quantiles[0] > before.quantiles[0] or spec.quantiles[-1] < before.quantiles[-1]
    ):
        lost.append("its intervals do not reach as far as the champion's")
    return tuple(lost)


def _duel(candidate: Dossier) -> Duel | None:
    facts = candidate.version.facts
    found = facts.duels.get(_NAIVE) if facts else None
    if found is None or found.forecaster is None or found.baseline is None:
        return None
    return Duel(found.forecaster, found.baseline, found.n_windows)


def _coverage(candidate: Dossier) -> tuple[dict[str, float], int]:
    """Shares inside the intervals, and of how many windows."""
    facts = candidate.version.facts
    if facts is None:
        return {}, 0
    known = {name: facts.scores[name] for name in NOMINAL if name in facts.scores}
    windows = facts.windows.n_windows
    return known, windows
