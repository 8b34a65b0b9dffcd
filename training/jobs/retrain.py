"""A run of retraining from its snapshot to the alias, by the one process that holds its lease."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.forecaster import Forecaster
from store.conventions import CHAMPION
from store.database import Database
from store.runs import Run, Status, list_runs
from store.schedules import LOG
from store.settings import Settings
from training.cell_choice import DEFAULT
from training.checkpoint import CheckpointError
from training.columns import columns, source
from training.commands import candidates
from training.defaults import default_windows
from training.holidays import with_holidays
from training.jobs.lease import Lease
from training.jobs.observed import observed_panel
from training.jobs.options import Options
from training.jobs.snapshot import Snapshot, prune_snapshots, read_snapshot, write_snapshot
from training.load_version import find_version, load_version
from training.panel import Panel
from training.pipeline import Candidate, Plan, Registered, Report, register
from training.promotion.aliases import Promotion, promote_best, thresholds_of
from training.promotion.incumbents import incumbents
from training.registry import Registry, RegistryError, open_client
from training.sources import load
from training.versions import registered_task, versions

_KEPT_SNAPSHOTS = 3
_SHARES = {"snapshot": 0.0, "fit": 0.05, "backtest": 0.8, "register": 0.9, "promote": 0.97}
"""The progress at which each stage begins."""


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The version that serves while its successors are fitted."""

    number: int
    forecaster: Forecaster


def retrain(
    run: Run,
    lease: Lease,
    database: Database,
    settings: Settings,
    told: Callable[[str], None] = lambda _: None,
) -> Status:
    """Do a run that was claimed, or what is left of it, and record what came of it.

    Snapshot, fit, backtest beside the champion and the baselines, register, promote, record: a
    process that is killed anywhere in between is followed by another that goes on from the last
    stage that was whole. told: called with the name of each stage as it begins.

    Raises LeaseLostError where the run is another's by now: nothing was promoted after that. Raises
    what `load`, `register` and `promote_best` raise.
    """
    registry = Registry.of(settings)

    def begin(stage: str, line: str) -> None:
        lease.tell(line, stage=stage, progress=_SHARES[stage])
        lease.mark()
        told(stage)

    begin("snapshot", f"attempt {run.attempt}: reading {run.source}")
    incumbent = _incumbent(registry, run.task, lease)
    champion = None if incumbent is None else incumbent.forecaster.spec
    options = Options.model_validate_json(run.options).after(champion)
    panel, snapshot = _snapshot(run, options, incumbent, database, settings)
    lease.tell(
        f"{snapshot.n_series} series, {snapshot.n_observations} values, "
        f"{snapshot.first} to {snapshot.last}, digest {snapshot.digest[:12]}"
    )
    told("snapshot taken")
    tried = _candidates(panel, options)
    folder = _folder(settings.var, run)
    plan = Plan(
        task=run.task,
        source=run.source,
        candidates=tried,
        n_windows=options.n_windows or default_windows(panel, tried[0].spec.horizon),
        step_size=options.step_size,
        folder=folder,
        store=settings.store_url,
        resume=True,
    )
    rivals = incumbents(registry, run.task, tried[0].spec, panel)
    if incumbent is not None and not rivals:
        lease.tell("the champion cannot forecast these windows: it is not scored on them")
    report = _reporter(plan, lease, told)
    try:
        made = register(panel, plan, registry, report, rivals)
    except CheckpointError as error:  # of another version of gatecast, or damaged
        lease.tell(f"fitting from the beginning: {error.reason}")
        made = register(panel, replace(plan, resume=False), registry, report, rivals)
    begin("promote", f"choosing between {_named(made.versions)} and the champion")
    promotion = promote_best(
        registry,
        run.task,
        made.versions.values(),
        store=database,
        by=run.asked_by,
        reason=f"retraining run {run.id} ({run.trigger})",
        fence=lease.fence,
        thresholds=thresholds_of(settings),
    )
    lease.tell(promotion.reason)
    told("promoted")
    won = promotion.champion in made.versions.values()
    status: Status = "succeeded" if won else "refused"
    lease.finish(status, json.dumps(_outcome(snapshot, made, promotion)), None)
    told("recorded")
    shutil.rmtree(settings.var / "retrain" / str(run.id), ignore_errors=True)
    _prune(run, database, settings)
    return status


def _incumbent(registry: Registry, task: str, lease: Lease) -> Incumbent | None:
    """The champion, if the task has one; what cannot be loaded is no rival, and is told."""
    if registered_task(open_client(registry), task) is None:
        return None
    if not any(CHAMPION in version.aliases for version in versions(registry, task)):
        return None
    version = find_version(registry, task, CHAMPION)
    try:
        return Incumbent(version.number, load_version(registry, version)[0])
    except RegistryError as error:
        lease.tell(f"the champion is left out: {error.reason}")
        return None


def _snapshot(
    run: Run,
    options: Options,
    incumbent: Incumbent | None,
    database: Database,
    settings: Settings,
) -> tuple[Panel, Snapshot]:
    """The data of the run: those that an attempt before this one has read, or read now."""
    folder = _snapshots(settings.var) / str(run.id)
    found = read_snapshot(folder)
    if found is not None:
        return found
    if run.source == LOG:
        spec = None if incumbent is None else incumbent.forecaster.spec
        panel = observed_panel(database, run.task, spec)
    else:
        panel = load(
            source(run.source),
            freq=options.freq,
            timezone=options.timezone,
            columns=columns(options.columns),
            hist_exog=options.hist_exog or (),
            futr_exog=options.futr_exog or (),
            stat_exog=options.stat_exog or (),
            query=run.query,
        )
    panel = with_holidays(panel, options.holidays)
    return panel, write_snapshot(folder, panel, run.source)


def _candidates(panel: Panel, options: Options) -> tuple[Candidate, ...]:
    return candidates(
        panel,
        cells=options.cells or DEFAULT.cells,
        preset=options.preset,
        horizon=options.horizon,
        season=options.season,
        seed=options.seed,
        threads=options.threads,
    )


def _folder(var: Path, run: Run) -> Path:
    """Where this attempt keeps its checkpoints: what the attempt before it left, moved away.

    A process that was paused and wakes finds its folder gone, and so can spoil nothing here.
    """
    root = var / "retrain" / str(run.id)
    root.mkdir(parents=True, exist_ok=True)
    mine = root / str(run.fence)
    earlier = sorted((int(each.name) for each in root.iterdir()), reverse=True)
    for fence in earlier:
        if fence >= run.fence:
            break
        if not mine.exists():
            (root / str(fence)).rename(mine)
        else:
            shutil.rmtree(root / str(fence), ignore_errors=True)
    return mine / "fits"


def _reporter(plan: Plan, lease: Lease, told: Callable[[str], None]) -> Callable[[Report], None]:
    """What the pipeline reports, as progress and lines of the lease's."""
    names = [candidate.name for candidate in plan.candidates]
    share = (_SHARES["backtest"] - _SHARES["fit"]) / len(names)

    def report(report: Report) -> None:
        name, at = report.candidate, report.progress
        if report.stage != "fit" or name is None:
            line = f"{report.stage} {name}" if name else report.stage
            lease.tell(line, stage=line, progress=_SHARES[report.stage])
            lease.mark()
            told(line)
            return
        begun = _SHARES["fit"] + share * names.index(name)
        if at is None:
            lease.tell(f"fit {name}", stage=f"fit {name}", progress=begun)
            lease.mark()
            told(f"fit {name}")
            return
        lease.go_on()
        lease.tell(progress=begun + share * at.batch / at.batches)
        if at.record is not None:
            lease.tell(
                f"{name} {at.batch}/{at.batches}  loss {at.loss:.4f}"
                f"  validation {at.record.valid_loss:.4f}"
            )
            told(f"look {name}")

    return report


def _outcome(snapshot: Snapshot, made: Registered, promotion: Promotion) -> dict[str, Any]:
    summary = made.backtest.among(list(made.backtest.scores)).summary()
    return {
        "snapshot": snapshot.model_dump(exclude={"timeline"}),
        "versions": made.versions,
        "scores": summary,
        "promoted": promotion.promoted,
        "champion": promotion.champion,
        "previous": promotion.previous,
        "reason": promotion.reason,
    }


def _named(numbers: dict[str, int]) -> str:
    return ", ".join(f"version {number} ({name})" for name, number in numbers.items())


def _prune(run: Run, database: Database, settings: Settings) -> None:
    """Keep the newest snapshots of the task."""
    with database.reading() as connection:
        mine = {each.id for each in list_runs(connection, task=run.task, limit=200)}
    finished = sorted(each for each in mine if each <= run.id)
    prune_snapshots(_snapshots(settings.var), set(finished[-_KEPT_SNAPSHOTS:]), set(finished))


def _snapshots(var: Path) -> Path:
    return var / "snapshots"
