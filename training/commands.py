"""What the commands do, once their text has become values."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console
from rich.table import Table

from models.levels import at_levels, quantiles_of
from models.manifest import Memory
from models.predict import point, predict
from models.spec import MAX_HORIZON, Cell, Spec
from store.settings import Settings
from training.backtest import Backtest, backtest, contender
from training.baselines import default_baselines
from training.budget import within
from training.columns import panel_for, words
from training.compare import NEAR
from training.contexts import context
from training.defaults import default_schedule, default_spec
from training.fit import Fit
from training.load_version import find_version, load_version
from training.panel import Panel
from training.pipeline import Candidate, Outcome, Plan, cutoffs, run
from training.presets import TEXTBOOK_HORIZON, textbook
from training.progress import shown
from training.promotion.aliases import thresholds_of
from training.promotion.record import person
from training.registry import Registry
from training.scores import METRICS
from training.sources import describe
from training.versions import versions


def candidates(
    panel: Panel,
    *,
    cells: Sequence[Cell],
    preset: str | None,
    horizon: int | None,
    season: Sequence[int] | None,
    seed: int,
    threads: int,
) -> tuple[Candidate, ...]:
    """The forecasters that the options ask for. Raises ValueError where they contradict."""
    if preset == "textbook":
        if horizon not in (None, TEXTBOOK_HORIZON):
            raise ValueError(f"the textbook preset forecasts {TEXTBOOK_HORIZON} steps")
        spec, schedule = textbook(panel, seed=seed, threads=threads)
        if season is not None:
            spec = Spec.model_validate({**dict(spec), "season": tuple(season)})
        return (Candidate("textbook", spec, schedule),)
    if horizon is None:
        raise ValueError("say how many steps to forecast: --horizon")
    schedule = default_schedule(panel, horizon=horizon, seed=seed, threads=threads)
    return tuple(
        Candidate(
            cell,
            default_spec(panel, cell=cell, horizon=horizon, season=season),
            schedule,
        )
        for cell in cells
    )


def fit_panel(
    panel: Panel,
    tried: tuple[Candidate, ...],
    *,
    settings: Settings,
    task: str,
    source: str,
    n_windows: int,
    step_size: int | None,
    resume: bool,
    console: Console,
    budget: float | None = None,
) -> Outcome:
    """Run the pipeline with its progress on `console`, and print what came of it.

    budget: seconds that the fits may take, about; None, as many as they take.
    """
    facts = describe(panel)
    console.print(
        f"{facts.n_series} series, {facts.n_observations} values ({facts.missing} missing), "
        f"{facts.first} to {facts.last}, frequency {facts.freq}",
        highlight=False,
        soft_wrap=True,
    )
    folder = settings.var / "fits" / task
    if budget is not None:
        ends = cutoffs(panel, tried[0].spec, n_windows, step_size)
        tried = within(budget, panel, tried, ends, folder=folder, resume=resume)
    plan = Plan(
        task=task,
        source=source,
        candidates=tried,
        n_windows=n_windows,
        step_size=step_size,
        folder=folder,
        store=settings.store_url,
        resume=resume,
        by=person(),
        thresholds=thresholds_of(settings),
    )
    with shown(console) as report:
        outcome = run(panel, plan, Registry.of(settings), report)
    console.print(scores_table(outcome.backtest))
    made = ", ".join(f"{name} is version {number}" for name, number in outcome.versions.items())
    console.print(f"Task {task}: {made}.", highlight=False, soft_wrap=True)
    for name, each in outcome.fits.items():
        told = "; ".join(filter(None, (_course(each), _memory(each.memory))))
        console.print(f"{name}: {told}.", highlight=False, soft_wrap=True)
    console.print(_verdict(task, outcome), highlight=False, soft_wrap=True)
    return outcome


def _course(made: Fit) -> str | None:
    """Which look the weights are of; an ensemble has none."""
    if made.best_step is None:
        return None
    if not made.best_step:
        return "nothing that it learnt was clearly better than its start"
    return f"best after {made.best_step} of {made.history[-1].step} batches"


def _memory(memory: Memory | None) -> str:
    if memory is None:
        return "the series are too short to measure how far back it remembers"
    steps = memory.steps_to(NEAR)
    if steps is None:
        return f"at {memory.longest} steps back it still remembers more than a thousandth"
    return f"it remembers {steps} steps, to a thousandth of the window's scale"


def _verdict(task: str, outcome: Outcome) -> str:
    promotion = outcome.promotion
    if promotion.promoted:
        return f"Version {promotion.champion} is now champion: {promotion.reason}."
    number = next(iter(outcome.versions.values()))
    return (
        f"No new champion: {promotion.reason}.\n"
        f"To forecast all the same: gatecast forecast DATA --task {task} --version {number}"
    )


def scores_table(result: Backtest) -> Table:
    """A column a forecaster, all on the windows that every one of them answered."""
    shared = result.among(list(result.scores))
    counted = next(iter(shared.scores.values()))
    table = Table(title_justify="left", title_style="bold")
    table.title = f"Backtest: {counted.n_windows} windows of {counted.n_series} series"
    table.add_column("")
    for name in shared.scores:
        table.add_column(name, justify="right")
    for metric in METRICS:
        overall = (scores.overall[metric] for scores in shared.scores.values())
        table.add_row(metric, *map(_short, overall))
    return table


def backtest_versions(
    data: str,
    *,
    settings: Settings,
    task: str,
    which: Sequence[str],
    columns: str,
    query: str | None,
    n_windows: int,
    step_size: int | None,
    cutoff: str | None,
    output: Path | None,
    console: Console,
) -> None:
    """Score versions on the series of `data`, and print or write the scores."""
    registry = Registry.of(settings)
    chosen = (
        [find_version(registry, task, each) for each in which]
        if which
        else list(versions(registry, task))
    )
    if not chosen:
        raise ValueError(f"task {task!r} has no versions yet")
    loaded = {f"version {v.number}": load_version(registry, v)[0] for v in reversed(chosen)}
    judge = next(iter(loaded.values())).spec
    panel = panel_for(judge, data, columns, query)
    instant = None
    if cutoff is not None:
        counted = panel.timeline.kind == "integer"
        instant = panel.timeline.parse([int(cutoff)] if counted else [cutoff])[0]
    result = backtest(
        panel,
        judge,
        {name: contender(forecaster) for name, forecaster in loaded.items()},
        default_baselines(judge),
        n_windows=n_windows,
        step_size=step_size,
        cutoff=instant,
    )
    if output is None:
        console.print(scores_table(result))
    else:
        result.by_series().write_csv(output)


def forecast_series(
    data: str,
    *,
    settings: Settings,
    task: str,
    which: str,
    horizon: int | None,
    level: str,
    columns: str,
    query: str | None,
    output: Path | None,
) -> None:
    """Forecast what follows each series of `data`, as CSV in `output` or on standard output."""
    registry = Registry.of(settings)
    forecaster, _ = load_version(registry, find_version(registry, task, which))
    spec = forecaster.spec
    steps = spec.horizon if horizon is None else horizon
    if steps > MAX_HORIZON:
        raise ValueError(f"{MAX_HORIZON} steps are forecast at most, not {steps}")
    levels = [float(word) for word in words(level)] if spec.quantiles else []
    panel = panel_for(spec, data, columns, query)
    contexts = [context(panel, series, spec, len(series), steps) for series in panel.series]
    values = predict(forecaster, contexts, h=steps)  # (n, steps, outputs)
    bounds = quantiles_of(levels)
    between = at_levels(spec.quantiles, values, bounds) if bounds else values[..., :0]
    frames = []
    for row, series in enumerate(panel.series):
        ahead = np.arange(len(series), len(series) + steps)
        frame = {
            "unique_id": [series.unique_id] * steps,
            "ds": panel.timeline.format(panel.timeline.at(series.start, ahead)),
            "mean": point(spec, values)[row],
        }
        for column, bound in enumerate(bounds):
            side = "lo" if bound < 0.5 else "hi"
            frame[f"{side}-{round(100 * abs(1 - 2 * bound), 6):g}"] = between[row, :, column]
        frames.append(pl.DataFrame(frame))
    table = pl.concat(frames)
    if output is None:
        sys.stdout.write(table.write_csv())
    else:
        table.write_csv(output)


def _short(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "–"
