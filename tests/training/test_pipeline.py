"""Fit, backtest, log, register, promote: whole, stopped at any stage, and gone on with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.forecaster import Forecaster
from store.conventions import CHAMPION
from tests.training.fits import embedded
from tests.training.panels import panel_of, seasonal, spec_of
from tests.training.pipelines import TASK, plan_of, registered, steps_panel
from training.pipeline import Outcome, Report, cutoffs, run
from training.registry import Registry, RegistryError, open_client
from training.versions import versions


@dataclass(frozen=True)
class Done:
    """A plan that ran to its end."""

    registry: Registry
    folder: Path
    outcome: Outcome
    reports: list[Report]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    var = tmp_path_factory.mktemp("var")
    registry, folder, reports = embedded(var), var / "fits" / TASK, list[Report]()
    outcome = run(steps_panel(), plan_of(folder), registry, reports.append)
    return Done(registry, folder, outcome, reports)


def by_cell(found: dict[int, Forecaster]) -> dict[str, dict[str, torch.Tensor]]:
    return {each.spec.cell: dict(each.state_dict()) for each in found.values()}


def test_a_plan_goes_through_its_stages_in_order(done: Done) -> None:
    stages = [(r.stage, r.candidate) for r in done.reports if r.progress is None]
    assert stages == [
        ("fit", "lstm"),
        ("fit", "gru"),
        ("backtest", "lstm"),
        ("backtest", "gru"),
        ("backtest", "seasonal_naive"),
        ("backtest", "auto_ets"),
        ("register", "lstm"),
        ("register", "gru"),
        ("promote", None),
    ]
    batches = [r.progress.batch for r in done.reports if r.progress and r.candidate == "gru"]
    assert batches == list(range(1, len(batches) + 1))


def test_every_candidate_is_a_version_that_loads_with_the_weights_of_its_fit(done: Done) -> None:
    found = registered(done.registry)
    assert set(found) == set(done.outcome.versions.values()) == {1, 2}
    fits = {name: dict(fit.forecaster.state_dict()) for name, fit in done.outcome.fits.items()}
    torch.testing.assert_close(by_cell(found), fits, rtol=0, atol=0)


def test_the_promoted_version_is_champion_and_beats_seasonal_naive(done: Done) -> None:
    promotion, scores = done.outcome.promotion, done.outcome.backtest.scores
    assert promotion.promoted
    (champion,) = (v for v in versions(done.registry, TASK) if CHAMPION in v.aliases)
    assert champion.number == promotion.champion
    assert champion.facts is not None
    best = min(scores[name].overall["mase"] for name in ("lstm", "gru"))
    assert champion.facts.scores["mase"] == pytest.approx(best, rel=1e-5)
    assert best < scores["seasonal_naive"].overall["mase"]


def test_the_windows_of_the_backtest_are_kept_from_the_fits(done: Done) -> None:
    windows = done.outcome.backtest.windows
    for fit in done.outcome.fits.values():
        np.testing.assert_array_equal(fit.cutoffs, windows.origins.min(axis=1))
        np.testing.assert_array_equal(fit.cutoffs, [90 - 12, 97 - 12, 104 - 12])


def test_nothing_is_left_in_the_plan_s_folder(done: Done) -> None:
    assert not done.folder.exists()


def test_a_series_without_a_window_is_learnt_from_whole() -> None:
    panel = panel_of(seasonal(60), seasonal(6), np.full(40, np.nan))
    np.testing.assert_array_equal(cutoffs(panel, spec_of(), 2, None), [54, 6, 40])
    np.testing.assert_array_equal(cutoffs(panel, spec_of(), 2, 10), [47, 6, 40])


def test_the_champion_is_scored_beside_those_that_would_replace_it(
    tmp_path: Path, done: Done
) -> None:
    shutil.copyfile(done.folder.parents[1] / "mlflow.db", tmp_path / "mlflow.db")
    registry, champion = Registry.embedded(tmp_path), done.outcome.promotion.champion
    plan = plan_of(tmp_path / "fits" / TASK)
    again = next(c for c in plan.candidates if done.outcome.versions[c.name] == champion)
    outcome = run(steps_panel(), replace(plan, candidates=(again,)), registry, lambda _: None)
    scores = outcome.backtest.scores
    assert scores[f"version {champion}"].overall == scores[again.name].overall  # the same fit
    assert (outcome.promotion.promoted, outcome.promotion.champion) == (False, champion)
    (verdict,) = outcome.promotion.verdicts
    assert {each.rule for each in verdict.refusals} == {"margin", "significance"}


def at(stage: str, candidate: str | None, batch: int | None = None) -> Callable[[Report], None]:
    """A report that stops the plan at a place of it, as Ctrl-C does."""

    def report(told: Report) -> None:
        here = None if told.progress is None else told.progress.batch
        if (told.stage, told.candidate, here) == (stage, candidate, batch):
            raise KeyboardInterrupt

    return report


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(("fit", "lstm", 1), marks=pytest.mark.slow),
        ("fit", "gru", 13),
        pytest.param(("backtest", "auto_ets"), marks=pytest.mark.slow),
        ("register", "gru"),
        pytest.param(("promote", None), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_plan_stopped_anywhere_ends_as_if_it_had_not_been(
    tmp_path: Path, done: Done, place: tuple[str, str | None, int]
) -> None:
    registry, folder = embedded(tmp_path), tmp_path / "fits" / TASK
    with pytest.raises(KeyboardInterrupt):
        run(steps_panel(), plan_of(folder), registry, at(*place))
    assert len(registered(registry)) == {"register": 1, "promote": 2}.get(place[0], 0)
    (folder / "gru.registered.unfinished").touch()  # as a kill may leave it
    fitted: list[str | None] = []

    def report(told: Report) -> None:
        if told.progress is not None:
            fitted.append(told.candidate)

    outcome = run(steps_panel(), plan_of(folder, resume=True), registry, report)
    assert outcome.versions == {"lstm": 1, "gru": 2}
    assert fitted.count("lstm") == (19 if place == ("fit", "lstm", 1) else 0)
    assert outcome.promotion.champion == done.outcome.promotion.champion
    torch.testing.assert_close(
        by_cell(registered(registry)), by_cell(registered(done.registry)), rtol=0, atol=0
    )


def test_without_resume_a_plan_begins_anew(tmp_path: Path, done: Done) -> None:
    folder = tmp_path / "fits" / TASK
    with pytest.raises(KeyboardInterrupt):
        run(steps_panel(), plan_of(folder), embedded(tmp_path), at("fit", "gru", 3))
    batches: list[int] = []

    def report(told: Report) -> None:
        if told.progress is not None:
            batches.append(told.progress.batch)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(steps_panel(), plan_of(folder), done.registry, report)
    assert batches == [1]


def never(told: Report) -> None:
    raise AssertionError(f"began with {told}")


@pytest.mark.parametrize("task", ["Not a name", "../up", ""])
def test_a_name_that_no_task_may_have_fails_before_the_work(tmp_path: Path, task: str) -> None:
    with pytest.raises(RegistryError, match="a task name has"):
        run(steps_panel(), plan_of(tmp_path / "fits", task=task), embedded(tmp_path), never)


def test_a_name_that_is_somebody_else_s_fails_before_the_work(tmp_path: Path) -> None:
    registry = embedded(tmp_path)
    open_client(registry).create_registered_model(TASK)
    with pytest.raises(RegistryError, match="not one of ours"):
        run(steps_panel(), plan_of(tmp_path / "fits"), registry, never)


def test_series_too_short_for_a_window_fail_before_the_work(tmp_path: Path) -> None:
    def report(told: Report) -> None:
        assert told.progress is None

    with pytest.raises(ValueError, match=r"no series has a window; a: 6 steps"):
        run(panel_of(seasonal(6)), plan_of(tmp_path / "fits"), embedded(tmp_path), report)
