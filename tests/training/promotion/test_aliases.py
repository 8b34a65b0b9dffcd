"""Promotion through a real registry: the gate, the aliases, the record, and the lock."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save

from models.bundle import DIGEST, MANIFEST
from models.manifest import WEIGHTS
from store.conventions import BUNDLE_FOLDER, CHALLENGER, CHAMPION, PREVIOUS
from store.database import Database
from store.locks import LeaseLostError, LockBusyError, holding
from tests.training.fits import TASK, embedded, file_of
from tests.training.planted import PANEL, WINDOWS, errors, plant, store_in
from training.origins import rolling_windows
from training.promotion.aliases import Promotion, promote, promote_best, rollback
from training.promotion.gate import Thresholds
from training.promotion.record import HISTORY_TAG, KEPT_CHANGES, VERDICT_FILE, VERDICT_TAG
from training.registry import Registry, RegistryError, open_client, quiet_mlflow
from training.versions import Version, pick, versions


@dataclass(frozen=True)
class Planted:
    """A registry of versions by what was planted in them, and the store of its lock."""

    registry: Registry
    store: Database
    numbers: dict[str, int]

    def best(self, *names: str, **options: Any) -> Promotion:
        numbers = [self.numbers[name] for name in names]
        given: dict[str, Any] = {"store": self.store, "by": "a test", "reason": "to see"}
        return promote_best(self.registry, TASK, numbers, **(given | options))

    def tags(self, name: str) -> dict[str, str]:
        client = open_client(self.registry)
        return dict(client.get_model_version(TASK, str(self.numbers[name])).tags)

    def aliases(self) -> dict[str, int]:
        found = versions(self.registry, TASK)
        return {alias: v.number for v in found for alias in v.aliases}

    def history(self) -> list[dict[str, Any]]:
        tags = open_client(self.registry).get_registered_model(TASK).tags
        found: list[dict[str, Any]] = json.loads(tags.get(HISTORY_TAG, "[]"))
        return found


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    folder = tmp_path_factory.mktemp("planted")
    registry = embedded(folder / "var")
    old = errors(0)
    one_series = 0.1 * old
    one_series[1] = 2.5 * old[1]
    # better than seasonal naive, all of them, but for the last
    made = {
        "champion": old,
        "better": 0.7 * old + 0.1 * errors(1),
        "best": 0.5 * old + 0.1 * errors(2),
        "worse": 1.2 * old + 0.1 * errors(4),
        "equal": old + 0.02 * errors(5),
        "biased": 0.5 * old + 0.5,
        "ruinous": one_series,
        "naive": 5.0 * old,
    }
    numbers = {}
    for name, planted in made.items():
        numbers[name] = plant(registry, planted, None if name == "champion" else (1, old)).number
    (best,) = pick(versions(registry, TASK), [numbers["best"]])
    numbers["nan"] = spoilt(registry, best, folder)
    with store_in(folder) as store:
        yield Planted(registry, store, numbers)


def spoilt(registry: Registry, of: Version, folder: Path) -> int:
    """The same version again, its weights not finite, under digests that fit."""
    place = shutil.copytree(file_of(of.source), folder / "spoilt")
    bundle = place / BUNDLE_FOLDER
    with safe_open(bundle / WEIGHTS, "np") as opened:
        metadata = opened.metadata()
    tensors = {name: np.array(each) for name, each in load_file(bundle / WEIGHTS).items()}
    next(each for each in tensors.values() if each.dtype.kind == "f")[...] = np.nan
    packed = save(tensors, metadata)
    (bundle / WEIGHTS).write_bytes(packed)
    manifest = json.loads((bundle / MANIFEST).read_text())
    manifest["files"][WEIGHTS] = {"sha256": sha256(packed).hexdigest(), "bytes": len(packed)}
    text = json.dumps(manifest).encode()
    (bundle / MANIFEST).write_bytes(text)
    (bundle / DIGEST).write_text(f"{sha256(text).hexdigest()}  {MANIFEST}\n")
    client = open_client(registry)
    tags = client.get_model_version(TASK, str(of.number)).tags
    made = client.create_model_version(TASK, source=place.as_uri(), run_id=of.run_id, tags=tags)
    return int(made.version)


@pytest.fixture
def planted(every: Planted) -> Planted:
    """No champion yet, and nothing on record."""
    client = open_client(every.registry)
    for alias in (CHAMPION, PREVIOUS, CHALLENGER):
        client.delete_registered_model_alias(TASK, alias)
    client.set_registered_model_tag(TASK, HISTORY_TAG, "[]")
    return every


@pytest.fixture
def reigning(planted: Planted) -> Planted:
    """The champion is champion."""
    assert planted.best("champion").promoted
    return planted


def test_the_first_champion_has_nothing_before_it(planted: Planted) -> None:
    done = planted.best("champion", "better")
    assert (done.promoted, done.champion, done.previous) == (True, planted.numbers["better"], None)
    assert "is best and beats seasonal naive" in done.reason
    assert planted.aliases() == {CHAMPION: planted.numbers["better"]}


def test_a_first_version_that_does_not_beat_seasonal_naive_is_refused(planted: Planted) -> None:
    done = planted.best("naive")
    assert (done.promoted, done.champion) == (False, None)
    assert "does not beat seasonal naive" in done.reason
    assert planted.aliases() == {}


def test_an_honest_improvement_is_promoted_and_the_old_champion_kept(reigning: Planted) -> None:
    done = reigning.best("better", "best", "worse")
    numbers = reigning.numbers
    assert (done.promoted, done.champion, done.previous) == (True, numbers["best"], 1)
    assert reigning.aliases() == {CHAMPION: numbers["best"], PREVIOUS: 1}
    assert "less; significant" in done.reason
    first, second = reigning.history()
    assert (first["action"], first["version"], first["before"]) == ("promote", numbers["best"], 1)
    assert (first["by"], first["reason"]) == ("a test", "to see")
    assert second["before"] is None


@pytest.mark.parametrize(
    ("name", "rule", "thresholds"),
    [
        ("worse", "margin", None),
        ("equal", "margin", None),
        ("biased", "bias", None),
        ("ruinous", "series", None),
        ("nan", "sound", None),
        ("best", "latency", Thresholds(step_ms=1e-6)),
        ("best", "size", Thresholds(bundle_bytes=100)),
    ],
)
def test_a_planted_regression_is_refused_with_its_reason(
    reigning: Planted, name: str, rule: str, thresholds: Thresholds | None
) -> None:
    done = reigning.best(name, thresholds=thresholds)
    assert (done.promoted, done.champion, done.previous) == (False, 1, None)
    assert reigning.aliases() == {CHAMPION: 1}
    (verdict,) = done.verdicts
    assert rule in {each.rule for each in verdict.refusals}
    if name == "ruinous":
        assert [each.rule for each in verdict.refusals if each.rule in ("margin", "bias")] == []
    tag = reigning.tags(name)[VERDICT_TAG]
    assert len(tag) < 5000
    told = json.loads(tag)
    assert (told["passed"], told["champion"]) == (False, 1)
    refused = {each["rule"]: each["said"] for each in told["reasons"] if each["passed"] is False}
    assert refused[rule]


def test_the_verdict_is_in_the_log_of_the_run_too(reigning: Planted) -> None:
    reigning.best("worse")
    found = versions(reigning.registry, TASK)
    run = next(v.run_id for v in found if v.number == reigning.numbers["worse"])
    text = quiet_mlflow().artifacts.load_text(
        open_client(reigning.registry).get_run(run).info.artifact_uri + "/" + VERDICT_FILE
    )
    assert json.loads(text)["passed"] is False


def test_promoting_the_champion_again_changes_nothing(reigning: Planted) -> None:
    done = reigning.best("champion")
    assert (done.promoted, done.champion, done.previous) == (False, 1, None)
    assert "already" in done.reason


def test_by_force_a_worse_one_is_promoted_but_not_a_broken_one(reigning: Planted) -> None:
    def force(name: str, reason: str) -> Promotion:
        return promote(
            reigning.registry,
            TASK,
            reigning.numbers[name],
            store=reigning.store,
            by="a test",
            reason=reason,
            force=True,
        )

    with pytest.raises(ValueError, match="say why"):
        force("worse", " ")
    assert not force("nan", "I want it").promoted
    done = force("worse", "the meters were wrong")
    assert (done.promoted, done.champion, done.previous) == (True, reigning.numbers["worse"], 1)
    assert "margin" in done.reason
    assert "the meters were wrong" in done.reason
    assert reigning.history()[0]["action"] == "force"
    assert json.loads(reigning.tags("worse")[VERDICT_TAG])["passed"] is False


def test_a_rollback_returns_to_previous_and_a_second_one_further_back(reigning: Planted) -> None:
    def back() -> Promotion:
        return rollback(reigning.registry, TASK, store=reigning.store, by="a test", reason="bad")

    with pytest.raises(RegistryError, match="no previous version"):
        back()
    better, best = reigning.numbers["better"], reigning.numbers["best"]
    for number in (better, best):
        promote(
            reigning.registry, TASK, number,
            store=reigning.store, by="a test", reason="to see", force=True,
        )  # fmt: skip
    assert (back().champion, reigning.aliases()) == (better, {CHAMPION: better, PREVIOUS: 1})
    done = back()
    assert (done.promoted, done.champion, done.previous) == (True, 1, None)
    assert reigning.aliases() == {CHAMPION: 1}
    assert [each["action"] for each in reigning.history()][:2] == ["rollback", "rollback"]
    with pytest.raises(RegistryError, match="no previous version"):
        back()


def test_a_fence_that_falls_stops_every_alias(reigning: Planted) -> None:
    def fallen() -> None:
        raise LeaseLostError("the run was taken up by another")

    with pytest.raises(LeaseLostError, match="another"):
        reigning.best("best", fence=fallen)
    assert reigning.aliases() == {CHAMPION: 1}
    calls: list[int] = []

    def falls_late() -> None:
        calls.append(1)
        if len(calls) == 2:
            fallen()

    with pytest.raises(LeaseLostError):
        reigning.best("best", fence=falls_late)
    assert reigning.aliases()[CHAMPION] == 1


def test_a_promotion_waits_for_another(reigning: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.locks.WAIT_SECONDS", 0.2)
    with holding(reigning.store, TASK, by="another"), pytest.raises(LockBusyError):
        reigning.best("best")
    assert reigning.best("best").promoted


def test_a_promoted_challenger_challenges_no_more(reigning: Planted) -> None:
    number = reigning.numbers["best"]
    open_client(reigning.registry).set_registered_model_alias(TASK, CHALLENGER, str(number))
    assert reigning.best("best").promoted
    assert CHALLENGER not in reigning.aliases()


def test_the_history_is_bounded(reigning: Planted) -> None:
    client = open_client(reigning.registry)
    one = reigning.history()[0] | {"reason": "x" * 190}
    client.set_registered_model_tag(TASK, HISTORY_TAG, json.dumps([one] * 16))
    for _ in range(2):
        reigning.best("best")
        rollback(reigning.registry, TASK, store=reigning.store, by="b" * 500, reason="r" * 5000)
    tags = client.get_registered_model(TASK).tags
    assert len(tags[HISTORY_TAG]) <= 5000
    assert 2 <= len(json.loads(tags[HISTORY_TAG])) <= KEPT_CHANGES


def test_a_champion_never_scored_on_the_windows_stays(planted: Planted, tmp_path: Path) -> None:
    registry = embedded(tmp_path / "var")
    plant(registry, errors(0))
    earlier = rolling_windows(PANEL, horizon=6, season=24, n_windows=10, step_size=5)
    plant(registry, 0.3 * errors(0), windows=earlier)
    with store_in(tmp_path) as store:
        here = Planted(registry, store, {"old": 1, "new": 2})
        assert here.best("old").promoted
        done = here.best("new")
        assert not done.promoted
        assert "never scored on these windows" in done.reason
    assert WINDOWS.digest != earlier.digest


def test_what_is_not_there_is_refused(planted: Planted, tmp_path: Path) -> None:
    options: dict[str, Any] = {"store": planted.store, "by": "a test", "reason": "to see"}
    with pytest.raises(RegistryError, match="99"):
        promote_best(planted.registry, TASK, [1, 99], **options)
    with pytest.raises(RegistryError, match="no task"):
        promote_best(planted.registry, "another", [1], **options)
    with pytest.raises(RegistryError, match="none"):
        promote_best(embedded(tmp_path / "var"), "another", [1], **options)
