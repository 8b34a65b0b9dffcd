"""From a panel to registered versions: fit, backtest together, log, register, promote."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.spec import Spec
from store.migrate import opened
from training.backtest import Backtest, Contender, backtest, contender
from training.baselines import default_baselines
from training.fit import Fit, fit
from training.loop import Progress
from training.origins import rolling_windows
from training.panel import Panel
from training.promotion.aliases import Promotion, promote_best
from training.promotion.gate import Thresholds
from training.promotion.incumbents import incumbents
from training.register import log_fit
from training.registry import Registry, open_client
from training.schedule import Schedule
from training.versions import registered_task


@dataclass(frozen=True, slots=True)
class Candidate:
    """One forecaster to fit. name: of its version in charts and tables, and of its checkpoint."""

    name: str
    spec: Spec
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Plan:
    """What one call of the pipeline does.

    source: where the panel came from, for the record. n_windows, step_size: of the backtest, whose
    windows lie at the end of the series and are kept from the fits. folder: of the checkpoints.
    store: URL of the database that holds the task's lock. resume: go on with what `folder` holds of
    the same plan; else it is emptied first. by: who promotes, for the record. thresholds: the
    gate's.
    """

    task: str
    source: str
    candidates: tuple[Candidate, ...]
    n_windows: int
    step_size: int | None
    folder: Path
    store: str
    resume: bool = False
    by: str = "gatecast fit"
    thresholds: Thresholds = field(default_factory=Thresholds)


@dataclass(frozen=True, slots=True)
class Report:
    """What a plan tells while it runs: a stage began, or a batch of a candidate's fit is done.

    candidate: whose stage it is; of the backtest, whichever forecaster is scored next.
    """

    stage: str
    candidate: str | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """What a plan registered. versions: registry version of each candidate, by name."""

    fits: dict[str, Fit]
    backtest: Backtest
    versions: dict[str, int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a plan came to. versions: registry version of each candidate, by name."""

    fits: dict[str, Fit]
    backtest: Backtest
    versions: dict[str, int]
    promotion: Promotion


def run(panel: Panel, plan: Plan, registry: Registry, report: Callable[[Report], None]) -> Outcome:
    """Fit, backtest, log, register and promote, in that order.

    A killed run leaves checkpoints in the plan's folder and never a version that does not load;
    with `resume` it goes on, and candidates that were registered before are not registered again.
    Raises what `fit`, `backtest`, `log_fit` and `promote_best` raise.
    """
    beside = incumbents(registry, plan.task, plan.candidates[0].spec, panel)
    with closing(opened(plan.store)) as store:  # one that cannot be had fails before the work
        made = register(panel, plan, registry, report, beside)
        report(Report("promote"))
        promotion = promote_best(
            registry,
            plan.task,
            made.versions.values(),
            store=store,
            by=plan.by,
            reason="the best of a fit",
            thresholds=plan.thresholds,
        )
    shutil.rmtree(plan.folder)
    return Outcome(made.fits, made.backtest, made.versions, promotion)


def register(
    panel: Panel,
    plan: Plan,
    registry: Registry,
    report: Callable[[Report], None],
    incumbents: Mapping[str, Contender] | None = None,
) -> Registered:
    """All of `run` but the promotion; the plan's folder stays, so that this too can be resumed.

    incumbents: forecasters beside the candidates, of other names, that are scored on the same
    windows. They learn nothing.
    """
    registered_task(open_client(registry), plan.task)  # a name that is taken fails before the work
    judge = plan.candidates[0].spec
    ends = cutoffs(panel, judge, plan.n_windows, plan.step_size)  # and so do too short series
    if not plan.resume:
        shutil.rmtree(plan.folder, ignore_errors=True)
    plan.folder.mkdir(parents=True, exist_ok=True)
    fits = {}
    for candidate in plan.candidates:
        fits[candidate.name] = _fit(panel, plan, candidate, ends, report)
    baselines = default_baselines(judge)
    ours = {name: contender(each.forecaster) for name, each in fits.items()}
    result = backtest(
        panel,
        judge,
        ours | dict(incumbents or {}),
        baselines,
        n_windows=plan.n_windows,
        step_size=plan.step_size,
        told=lambda name: report(Report("backtest", name)),
    )
    versions: dict[str, int] = {}
    for candidate in plan.candidates:
        report(Report("register", candidate.name))
        note = plan.folder / f"{candidate.name}.registered.json"
        if not note.exists():
            version = log_fit(
                registry,
                plan.task,
                fits[candidate.name],
                result,
                panel,
                name=candidate.name,
                baselines=[baseline.name for baseline in baselines],
                source=plan.source,
                settings=candidate.schedule.model_dump(),
            )
            # whole or not at all: a kill in between must not stand in the way of --resume
            unfinished = note.with_suffix(".unfinished")
            unfinished.write_text(json.dumps({"version": version.number}), encoding="utf-8")
            unfinished.replace(note)
        versions[candidate.name] = json.loads(note.read_text(encoding="utf-8"))["version"]
    return Registered(fits, result, versions)


def cutoffs(panel: Panel, spec: Spec, n_windows: int, step_size: int | None) -> NDArray[np.int64]:
    """(n_series,) the leading steps of each series that no window of the backtest forecasts.

    All steps of a series that has no window.
    """
    windows = rolling_windows(
        panel,
        horizon=spec.horizon,
        season=spec.season[0] if spec.season else 1,
        n_windows=n_windows,
        step_size=step_size,
    )
    ends = np.array([len(series) for series in panel.series], dtype=np.int64)
    first = np.where(windows.origins >= 0, windows.origins, np.iinfo(np.int64).max).min(axis=1)
    ends[windows.series] = first
    return ends


def _fit(
    panel: Panel,
    plan: Plan,
    candidate: Candidate,
    ends: NDArray[np.int64],
    report: Callable[[Report], None],
) -> Fit:
    report(Report("fit", candidate.name))
    return fit(
        panel,
        candidate.spec,
        candidate.schedule,
        cutoffs=ends,
        checkpoint=plan.folder / f"{candidate.name}.safetensors",
        report=lambda progress: report(Report("fit", candidate.name, progress)),
    )
