from __future__ import annotations

from pathlib import Path

import pytest

from store.conventions import CHAMPION, PREVIOUS, SCORES_TAG, TASK_TAG
from tests.training.fits import TASK, embedded, logged
from tests.training.told import facts_of, version_of
from training.promotion import choose, promote_best
from training.registry import Registry, RegistryError, open_client
from training.versions import DUELS_TAG, WINDOWS_TAG, Duel, Version, Windows, versions


@pytest.mark.parametrize(
    ("candidates", "best", "reason"),
    [
        ([version_of(1, facts_of(0.8)), version_of(2, facts_of(0.7))], 2, "beats seasonal naive"),
        ([version_of(1, facts_of(0.7)), version_of(2, facts_of(0.7))], 1, "version 1"),
        ([version_of(1, facts_of(1.1)), version_of(2, facts_of(1.2))], None, "does not beat"),
        ([version_of(1, facts_of(1.0))], None, "does not beat"),
        (
            [version_of(1, facts_of(0.8)), version_of(2, facts_of(0.7, windows="b" * 64))],
            None,
            "different windows",
        ),
        ([version_of(1, facts_of(None)), version_of(2, None)], None, "none of the versions"),
        ([version_of(1, facts_of(None)), version_of(2, facts_of(0.9))], 2, "version 2"),
        ([version_of(1, facts_of(0.8, naive=None))], None, "not scored against"),
        ([version_of(1, facts_of(0.8, duels={}))], None, "not scored against"),
        ([], None, "none of the versions"),
    ],
)
def test_the_better_one_is_chosen_if_it_beats_seasonal_naive(
    candidates: list[Version], best: int | None, reason: str
) -> None:
    chosen, why = choose(candidates)
    assert chosen == best
    assert reason in why


def test_the_judge_looks_at_the_windows_that_both_answered() -> None:
    lost = {"seasonal_naive": Duel(forecaster=1.2, baseline=1.1, n_windows=2)}
    chosen, why = choose([version_of(1, facts_of(0.8, duels=lost))])
    assert chosen is None
    assert "1.2 against 1.1" in why


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """One fit under five numbers: 2, 1 and 3 beat seasonal naive in this order, 4 does not.

    5 does as well, on other windows than theirs.
    """
    registry = embedded(tmp_path_factory.mktemp("registry") / "var")
    client = open_client(registry)
    tags = client.get_model_version(TASK, str(logged(registry).number)).tags
    source = versions(registry, TASK)[0].source
    client.delete_registered_model(TASK)
    client.create_registered_model(TASK, tags={TASK_TAG: "1"})
    for mase in (0.8, 0.7, 0.9, 1.5):
        duel = Duel(forecaster=mase, baseline=1.0, n_windows=2)
        changes = {
            SCORES_TAG: f'{{"mase":{mase}}}',
            DUELS_TAG: f'{{"seasonal_naive":{duel.model_dump_json()}}}',
        }
        client.create_model_version(TASK, source=source, tags=tags | changes)
    won = Duel(forecaster=0.95, baseline=1.0, n_windows=2)
    changes = {
        SCORES_TAG: '{"mase":0.95}',
        DUELS_TAG: f'{{"seasonal_naive":{won.model_dump_json()}}}',
    }
    windows = Windows.model_validate_json(tags[WINDOWS_TAG])
    elsewhere = windows.model_copy(update={"digest": "0" * 64})
    changes[WINDOWS_TAG] = elsewhere.model_dump_json()
    client.create_model_version(TASK, source=source, tags=tags | changes)
    return registry


@pytest.fixture
def unaliased(registry: Registry) -> Registry:
    for alias in (CHAMPION, PREVIOUS):
        open_client(registry).delete_registered_model_alias(TASK, alias)
    return registry


def aliases(registry: Registry) -> dict[str, int]:
    return {alias: v.number for v in versions(registry, TASK) for alias in v.aliases}


def test_the_first_champion_has_nothing_before_it(unaliased: Registry) -> None:
    done = promote_best(unaliased, TASK, [1, 2])
    assert (done.promoted, done.champion, done.previous) == (True, 2, None)
    assert aliases(unaliased) == {CHAMPION: 2}


def test_the_old_champion_becomes_previous(unaliased: Registry) -> None:
    promote_best(unaliased, TASK, [1])
    done = promote_best(unaliased, TASK, [2])
    assert (done.promoted, done.champion, done.previous) == (True, 2, 1)
    assert aliases(unaliased) == {CHAMPION: 2, PREVIOUS: 1}


def test_a_champion_that_is_better_on_the_same_windows_stays(unaliased: Registry) -> None:
    promote_best(unaliased, TASK, [2])
    done = promote_best(unaliased, TASK, [1, 3])
    assert (done.promoted, done.champion, done.previous) == (False, 2, None)
    assert "already" in done.reason
    assert aliases(unaliased) == {CHAMPION: 2}


def test_a_champion_scored_on_other_windows_gives_way(unaliased: Registry) -> None:
    promote_best(unaliased, TASK, [2])
    done = promote_best(unaliased, TASK, [5])
    assert (done.promoted, done.champion, done.previous) == (True, 5, 2)


def test_no_alias_moves_for_what_does_not_beat_seasonal_naive(unaliased: Registry) -> None:
    done = promote_best(unaliased, TASK, [4])
    assert (done.promoted, done.champion) == (False, None)
    assert "does not beat" in done.reason
    assert aliases(unaliased) == {}


def test_promoting_the_champion_again_keeps_previous(unaliased: Registry) -> None:
    promote_best(unaliased, TASK, [1])
    promote_best(unaliased, TASK, [2])
    done = promote_best(unaliased, TASK, [1, 2])
    assert (done.promoted, done.champion, done.previous) == (False, 2, 1)
    assert "already" in done.reason
    assert aliases(unaliased) == {CHAMPION: 2, PREVIOUS: 1}


def test_a_candidate_that_is_not_there_is_refused(unaliased: Registry) -> None:
    with pytest.raises(RegistryError, match="99"):
        promote_best(unaliased, TASK, [1, 99])


def test_a_task_that_is_not_there_is_refused(unaliased: Registry) -> None:
    with pytest.raises(RegistryError, match="no task"):
        promote_best(unaliased, "another", [1])


def test_a_registry_without_tasks_says_so(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="none"):
        promote_best(embedded(tmp_path / "var"), "another", [1])
