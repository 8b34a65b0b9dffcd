"""A search: its trials are kept, counted once, and gone on with."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from optuna.trial import TrialState

from store.migrate import opened
from tests.store.databases import KINDS, empty
from tests.training.fits import embedded
from tests.training.panels import panel_of, seasonal
from training.panel import Panel
from training.registry import open_client
from training.schedule import Schedule
from training.tuning.record import end_search, search_run
from training.tuning.space import Space
from training.tuning.study import (
    Search,
    begin,
    best,
    finished,
    open_study,
    storage_url,
    study_name,
    work,
)

TASK = "steps"


@pytest.fixture(params=KINDS)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Both kinds of store, empty."""
    with empty(request.param, tmp_path) as url:
        yield url


def panel() -> Panel:
    return panel_of(*(seasonal(90 + 7 * row, row) for row in range(3)))


def space_of(given: Panel) -> Space:
    space = Space.of(given, cells=("lstm", "gru"), horizon=3, season=(4,), seed=0, threads=1)
    schedule = Schedule(batches=10, lanes=8, steps=16, origins=8, evaluations=5, threads=1)
    return dataclasses.replace(space, schedule=schedule)


def search_of(var: Path, store: str, given: Panel, trials: int) -> Search:
    space = space_of(given)
    cutoffs = np.array([len(series) - 6 for series in given.series])
    return Search(
        storage=storage_url(store),
        name=study_name(TASK, given, space, cutoffs),
        panel=given,
        space=space,
        cutoffs=cutoffs,
        trials=trials,
        ends=None,
        registry=embedded(var),
        task=TASK,
        run="",
    )


def begun(search: Search) -> Search:
    """The search with MLflow's run, and the defaults in its queue."""
    with open_study(search.storage, search.name, seed=0) as study:
        begin(study, search.space)
        run = search_run(search.registry, TASK, study, {})
    return dataclasses.replace(search, run=run.run_id)


def test_a_search_begins_with_the_defaults_and_goes_on_where_it_was(
    tmp_path: Path, store_url: str
) -> None:
    search = begun(search_of(tmp_path, store_url, panel(), 2))
    work(search, 0)
    work(search, 1)  # it has as many as it was to have
    with open_study(search.storage, search.name, seed=0) as study:
        assert finished(study) == 2
        assert study.trials[0].params == search.space.defaults
    work(dataclasses.replace(search, trials=4), 2)
    with open_study(search.storage, search.name, seed=0) as study:
        assert finished(study) == 4
        found = best(study)
        assert found is not None
        assert found.value == min(t.value for t in study.trials if t.value is not None)
    opened(store_url).close()  # our own schema still is what it was


def test_trials_are_runs_nested_in_that_of_the_search(tmp_path: Path) -> None:
    search = begun(search_of(tmp_path, f"sqlite:///{tmp_path}/gatecast.db", panel(), 3))
    work(search, 0)
    client = open_client(search.registry)
    with open_study(search.storage, search.name, seed=0) as study:
        run = search_run(search.registry, TASK, study, {})
        assert run.run_id == search.run
        end_search(run, study, status="FINISHED")
        least = study.best_value
    nested = client.search_runs([run.experiment_id], f"tags.`mlflow.parentRunId` = '{search.run}'")
    assert len(nested) == 3
    assert {each.info.status for each in nested} == {"FINISHED"}
    assert min(each.data.metrics["valid_loss"] for each in nested) == pytest.approx(least, rel=0.5)
    whole = client.get_run(search.run)
    assert whole.data.metrics["best_valid_loss"] == least
    assert whole.info.status == "FINISHED"
    charts = {Path(each.path).name for each in client.list_artifacts(search.run, "plots")}
    assert charts == {"history.png", "importances.png", "losses.png", "settings.png"}


def test_other_data_or_seasons_are_another_search() -> None:
    given, cutoffs = panel(), np.array([80, 80, 80])
    space = space_of(given)
    name = study_name(TASK, given, space, cutoffs)
    assert name == study_name(TASK, given, space, cutoffs)
    threaded = space.schedule.model_copy(update={"threads": 2})
    same = dataclasses.replace(space, schedule=threaded)
    assert name == study_name(TASK, given, same, cutoffs)
    assert name != study_name(TASK, given, space, cutoffs - 1)
    assert name != study_name("others", given, space, cutoffs)
    seasons = dataclasses.replace(space, spec=space.spec.model_copy(update={"season": (5,)}))
    assert name != study_name(TASK, given, seasons, cutoffs)


def test_a_search_ends_with_its_time(tmp_path: Path) -> None:
    search = begun(search_of(tmp_path, f"sqlite:///{tmp_path}/gatecast.db", panel(), 1000))
    began = time.monotonic()
    work(dataclasses.replace(search, ends=time.time() + 3), 0)
    assert time.monotonic() - began < 60
    with open_study(search.storage, search.name, seed=0) as study:
        assert 0 < len(study.trials) < 1000
        assert not study.get_trials(states=(TrialState.RUNNING,))


def test_series_that_cannot_be_validated_on_are_told(tmp_path: Path) -> None:
    constant = panel_of(np.full(90, 5.0))
    search = begun(search_of(tmp_path, f"sqlite:///{tmp_path}/gatecast.db", constant, 2))
    with pytest.raises(ValueError, match="too short"):
        work(search, 0)
