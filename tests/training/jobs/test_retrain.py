"""A run from its snapshot to the alias: what it learns from, and what it is held against."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.database import Database
from tests.training.jobs.test_observed import sent
from tests.training.panels import spec_of
from tests.training.pipelines import SCHEDULE, TASK, steps_panel
from tests.training.retrains import asked, claimed, found, home, settings_of
from training import pipeline
from training.baselines import naive
from training.jobs import retrain
from training.jobs.lease import Lease, LeaseLostError
from training.pipeline import Candidate
from training.promotion.aliases import Promotion
from training.registry import Registry
from training.versions import versions

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = (Candidate("gru", spec_of(cell="gru"), SCHEDULE),)
    monkeypatch.setattr(retrain, "_candidates", lambda *_: tiny)
    monkeypatch.setattr(pipeline, "default_baselines", lambda _: [naive()])


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with home(tmp_path) as database:
        yield database


def done(database: Database, var: Path, source: str) -> dict[str, Any]:
    """What came of a run."""
    asked(database, source)
    run = claimed(database)
    assert run is not None
    status = retrain.retrain(run, Lease(database, run, 600.0), database, settings_of(var))
    ended = found(database, run)
    assert (ended.status, ended.progress, ended.owner) == (status, 1.0, None)
    outcome: dict[str, Any] = json.loads(str(ended.outcome))
    return outcome


def test_the_log_is_learnt_from_and_the_champion_is_held_against(
    database: Database, tmp_path: Path
) -> None:
    sent(database, steps_panel(), TASK)
    first = done(database, tmp_path, "log")
    assert first["versions"] == {"gru": 1}
    assert first["champion"] == 1
    assert first["scores"].keys() == {"gru", "seasonal_naive"}
    second = done(database, tmp_path, str(tmp_path / "series.csv"))
    assert second["versions"] == {"gru": 2}
    assert second["snapshot"]["digest"] == first["snapshot"]["digest"]  # the log is the file
    scores = second["scores"]
    assert scores.keys() == {"gru", "version 1", "seasonal_naive"}
    assert scores["version 1"]["mase"] == pytest.approx(scores["gru"]["mase"])  # the same fit
    assert {each.name for each in (tmp_path / "snapshots").iterdir()} == {"1", "2"}
    assert not list((tmp_path / "retrain").iterdir())


def test_whoever_moves_the_alias_is_given_the_fence(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def fence(_: Lease) -> None:
        calls.append("fence")
        raise LeaseLostError("lost")

    def promote(*_: Any, fence: Callable[[], None], **__: Any) -> Promotion:
        calls.append("promote")
        fence()
        raise AssertionError

    monkeypatch.setattr(Lease, "fence", fence)
    monkeypatch.setattr(retrain, "promote_best", promote)
    asked(database, str(tmp_path / "series.csv"))
    run = claimed(database)
    assert run is not None
    with pytest.raises(LeaseLostError):
        retrain.retrain(run, Lease(database, run, 600.0), database, settings_of(tmp_path))
    assert calls == ["promote", "fence"]
    assert found(database, run).status == "running"
    assert [v.aliases for v in versions(Registry.embedded(tmp_path), TASK)] == [()]


def test_a_run_that_was_told_to_end_ends_with_its_batch_though_the_interrupt_was_lost(
    database: Database, tmp_path: Path
) -> None:
    asked(database, str(tmp_path / "series.csv"))
    run = claimed(database)
    assert run is not None
    lease, stages = Lease(database, run, 600.0), list[str]()

    def told(stage: str) -> None:
        stages.append(stage)
        if stage == "fit gru":
            lease.leaving.set()

    with pytest.raises(KeyboardInterrupt):
        retrain.retrain(run, lease, database, settings_of(tmp_path), told)
    assert stages[-1] == "fit gru"
