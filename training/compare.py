"""The tasks of a registry, and the versions of one side by side, as frozen values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from store.conventions import CHALLENGER, CHAMPION, PREVIOUS
from training.registry import Registry
from training.scores import METRICS
from training.versions import Duel, Version, pick, tasks, versions

NEAR = 1e-3
"""How near, in scales of the window, a replay of the memory is to one of the whole history."""

_NAIVE, _ETS = "seasonal_naive", ("auto_ets", "stl_auto_ets")


@dataclass(frozen=True, slots=True)
class Row:
    """One version. None stands where nothing is known.

    created: ISO 8601, UTC. first, last: the data it was fitted to. windows: digest of what it was
    scored on. vs_seasonal_naive, vs_auto_ets: its MASE over the baseline's on the windows that both
    answered, less than one being better. memory: newest steps whose replay gives the forecast of
    the whole history, at worst within a thousandth of the window's scale. bytes: of the bundle.
    step_ms, batch_ms: one observation with its forecast, and 64 series.
    fit_seconds: what it took. gatecast: the version that made it.
    """

    version: int
    aliases: tuple[str, ...]
    cell: str | None
    parameters: int | None
    created: str
    first: str | int | None
    last: str | int | None
    digest: str | None
    windows: str | None
    mase: float | None
    smape: float | None
    mae: float | None
    rmse: float | None
    wql: float | None
    coverage_80: float | None
    coverage_95: float | None
    msis: float | None
    vs_seasonal_naive: float | None
    vs_auto_ets: float | None
    memory: int | None
    bytes: int | None
    step_ms: float | None
    batch_ms: float | None
    fit_seconds: float | None
    gatecast: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Versions newest first, and what to know before comparing them. timed: where and when."""

    task: str
    rows: tuple[Row, ...]
    warnings: tuple[str, ...]
    timed: str = "at the fit"

    @property
    def comparable(self) -> bool:
        """Whether all versions were scored, and on the same windows."""
        return all(row.windows and row.windows == self.rows[0].windows for row in self.rows)


@dataclass(frozen=True, slots=True)
class Task:
    """A task of the registry: how many versions it has, and those that aliases name."""

    task: str
    n_versions: int
    champion: int | None
    challenger: int | None
    previous: int | None
    newest: str | None


def list_tasks(registry: Registry) -> tuple[Task, ...]:
    """Every task of the registry, by name."""
    return tuple(_task(name, versions(registry, name)) for name in tasks(registry))


def compare(registry: Registry, task: str, numbers: Sequence[int] = ()) -> Comparison:
    """The versions of a task, or those of them in `numbers`.

    Raises RegistryError for a task or a version that the registry does not have.
    """
    found = versions(registry, task)
    return compared(task, pick(found, numbers) if numbers else found)


def compared(task: str, found: Sequence[Version]) -> Comparison:
    """The comparison of versions already read. Pure."""
    rows = tuple(_row(version) for version in found)
    return Comparison(task, rows, tuple(_warnings(rows)))


def _task(name: str, found: Sequence[Version]) -> Task:
    by_alias = {alias: version.number for version in found for alias in version.aliases}
    return Task(
        task=name,
        n_versions=len(found),
        champion=by_alias.get(CHAMPION),
        challenger=by_alias.get(CHALLENGER),
        previous=by_alias.get(PREVIOUS),
        newest=_iso(found[0]) if found else None,
    )


def _row(version: Version) -> Row:
    facts = version.facts
    scores = facts.scores if facts else {}
    duels = facts.duels if facts else {}
    cost = facts.cost if facts else None
    return Row(
        version=version.number,
        aliases=version.aliases,
        cell=facts.cell if facts else None,
        parameters=facts.parameters if facts else None,
        created=_iso(version),
        first=facts.data.first if facts else None,
        last=facts.data.last if facts else None,
        digest=facts.digest if facts else None,
        windows=facts.windows.digest if facts else None,
        vs_seasonal_naive=_ratio(duels.get(_NAIVE)),
        vs_auto_ets=_ratio(next((duels[name] for name in _ETS if name in duels), None)),
        memory=facts.memory.steps_to(NEAR) if facts and facts.memory else None,
        bytes=cost.bytes if cost else None,
        step_ms=cost.step_ms if cost else None,
        batch_ms=cost.batch_ms if cost else None,
        fit_seconds=cost.seconds if cost else None,
        gatecast=cost.gatecast if cost else None,
        **{metric: scores.get(metric) for metric in METRICS},
    )


def _warnings(rows: Sequence[Row]) -> list[str]:
    warnings = []
    unknown = [row.version for row in rows if row.windows is None]
    if unknown:
        warnings.append(f"No scores are known of {_several(unknown)}.")
    groups: dict[str, list[int]] = {}
    for row in rows:
        if row.windows is not None:
            groups.setdefault(row.windows, []).append(row.version)
    if len(groups) > 1:
        each = "; ".join(_several(sorted(group)) for group in groups.values())
        warnings.append(f"Scored on different windows, so the scores do not compare: {each}.")
    if len({row.digest for row in rows if row.digest}) > 1:
        warnings.append("Fitted to different data.")
    return warnings


def _several(numbers: Sequence[int]) -> str:
    plural = "s" if len(numbers) > 1 else ""
    return f"version{plural} {', '.join(map(str, numbers))}"


def _ratio(duel: Duel | None) -> float | None:
    if duel is None or duel.forecaster is None or not duel.baseline:
        return None
    return float(f"{duel.forecaster / duel.baseline:.6g}")


def _iso(version: Version) -> str:
    return version.created.isoformat(timespec="seconds")
