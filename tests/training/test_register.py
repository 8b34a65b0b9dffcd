from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundle import read_bundle
from models.predict import predict
from store.conventions import (
    BASELINES_TAG,
    BUNDLE_FOLDER,
    CELL_TAG,
    DIGEST_TAG,
    PARAMETERS_TAG,
    SCORES_TAG,
    TASK_TAG,
)
from tests.training.fits import TASK, backtest_of, embedded, file_of, logged, panel, spec
from training.contexts import context
from training.facts import data_facts
from training.fit import fit
from training.register import log_fit
from training.registry import Registry, RegistryError, open_client
from training.schedule import Schedule
from training.versions import Version, version_tags


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return embedded(tmp_path_factory.mktemp("a registry") / "var")


@pytest.fixture(scope="module")
def version(registry: Registry) -> Version:
    return logged(registry)


@pytest.fixture(scope="module")
def run(registry: Registry, version: Version) -> Any:
    return open_client(registry).get_run(version.run_id)


def test_a_version_holds_a_bundle_that_reads(version: Version) -> None:
    forecaster, manifest = read_bundle(file_of(version.source) / BUNDLE_FOLDER)
    assert forecaster.spec == spec()
    assert manifest.scores is not None
    assert set(manifest.scores.baselines) == {"seasonal_naive"}
    assert manifest.data == data_facts(panel(), "loads.csv")


def test_a_version_is_tagged_with_what_comparison_needs(
    registry: Registry, version: Version
) -> None:
    tags = open_client(registry).get_model_version(TASK, str(version.number)).tags
    assert tags[CELL_TAG] == "lstm"
    assert int(tags[PARAMETERS_TAG]) > 0
    assert tags[DIGEST_TAG] == data_facts(panel(), "").digest
    assert set(json.loads(tags[SCORES_TAG])) >= {"mase", "smape", "wql", "coverage_80", "msis"}
    assert set(json.loads(tags[BASELINES_TAG])) == {"seasonal_naive"}
    assert all(len(value) <= 5000 for value in tags.values())


def test_the_task_is_a_registered_model_with_our_tag(registry: Registry, version: Version) -> None:
    assert open_client(registry).get_registered_model(TASK).tags == {TASK_TAG: "1"}


def test_a_run_has_parameters_of_spec_training_and_machine(run: Any) -> None:
    parameters = run.data.params
    assert parameters["spec.horizon"] == "6"
    assert parameters["spec.timeline.timezone"] == "Europe/Berlin"
    assert parameters["spec.season"] == "[24]"
    assert parameters["fit.learning_rate"] == "0.003"
    assert parameters["fit.seed"] == "0"
    assert int(parameters["machine.cores"]) > 0
    assert run.info.status == "FINISHED"


def test_a_run_has_losses_by_step(registry: Registry, run: Any) -> None:
    history = open_client(registry).get_metric_history(run.info.run_id, "valid_loss")
    assert [(metric.step, round(metric.value, 3)) for metric in history] == [
        (10, 1.1),
        (20, 0.55),
        (30, 0.367),
        (40, 0.275),
        (50, 0.22),
    ]


def test_a_run_has_scores_of_forecaster_and_baselines(registry: Registry, run: Any) -> None:
    metrics = run.data.metrics
    assert metrics["mase"] > 0
    assert metrics["baseline/seasonal_naive/mase"] > 0
    assert metrics["fit/peak_memory_bytes"] == 200_000_000
    by_horizon = open_client(registry).get_metric_history(run.info.run_id, "by_horizon/mase")
    assert [metric.step for metric in by_horizon] == [1, 2, 3, 4, 5, 6]


def test_a_run_names_its_data(run: Any) -> None:
    dataset = run.inputs.dataset_inputs[0].dataset
    digest = data_facts(panel(), "").digest
    assert dataset.name == TASK
    assert digest.startswith(dataset.digest)
    assert run.data.tags[DIGEST_TAG] == digest


def test_a_run_has_charts_and_tables(registry: Registry, run: Any) -> None:
    client = open_client(registry)
    plots = {file.path for file in client.list_artifacts(run.info.run_id, "plots")}
    tables = {file.path for file in client.list_artifacts(run.info.run_id, "backtest")}
    assert plots == {
        f"plots/{name}.png" for name in ("comparison", "error_by_horizon", "forecasts", "loss")
    }
    kept = {"by_horizon.csv", "by_series.csv", "forecasts.npz"}
    assert tables == {f"backtest/{name}" for name in kept}


def test_a_logged_model_is_found_by_its_score_on_the_data(
    registry: Registry, version: Version, run: Any
) -> None:
    found = open_client(registry).search_logged_models(
        [run.info.experiment_id],
        filter_string="metrics.mase > 0",
        datasets=[{"dataset_name": TASK}],
    )
    assert [model.source_run_id for model in found] == [version.run_id]
    assert found[0].status == "READY"


def test_logging_says_nothing(registry: Registry, capfd: pytest.CaptureFixture[str]) -> None:
    logged(registry, cell="gru")
    assert capfd.readouterr() == ("", "")


def test_the_logged_folder_holds_no_project_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "uv.lock").write_text("version = 1\n")
    (work / "pyproject.toml").write_text("[project]\nname = 'mine'\nversion = '1'\n")
    monkeypatch.chdir(work)
    names = {path.name for path in file_of(logged(embedded(tmp_path / "var")).source).rglob("*")}
    assert "requirements.txt" in names
    assert not names & {"uv.lock", "pyproject.toml", "__pycache__", "python_model.pkl"}


def test_a_model_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    registry = embedded(tmp_path / "var")
    client = open_client(registry)
    client.create_registered_model(TASK)
    with pytest.raises(RegistryError, match="not one of ours"):
        logged(registry)
    assert client.get_experiment_by_name(TASK) is None


@pytest.mark.parametrize("name", ["../up", "UPPER", "", "a" * 65, "a'b"])
def test_a_name_that_no_task_may_have_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises(RegistryError, match="task name"):
        logged(registry, task=name)


def test_a_trained_fit_is_registered(tmp_path: Path) -> None:
    given = panel()
    schedule = Schedule(batches=4, lanes=4, steps=16, origins=4, evaluations=2, threads=1)
    cutoffs = np.array([188] * 3)
    trained = fit(given, spec(), schedule, cutoffs=cutoffs)
    version = log_fit(
        embedded(tmp_path / "var"),
        TASK,
        trained,
        backtest_of(given, lstm=trained),
        given,
        name="lstm",
        baselines=["seasonal_naive"],
        source="loads.csv",
        settings=schedule.model_dump(),
    )
    forecaster, manifest = read_bundle(file_of(version.source) / BUNDLE_FOLDER)
    contexts = [context(given, series, spec(), 188) for series in given.series]
    expected = predict(trained.forecaster, contexts)
    np.testing.assert_array_equal(predict(forecaster, contexts), expected)
    assert manifest.data == data_facts(given, "loads.csv", cutoffs)
    assert manifest.data.last == "2024-04-05T21:00:00+02:00"


def test_tags_too_long_for_the_registry_are_refused(version: Version) -> None:
    _, manifest = read_bundle(file_of(version.source) / BUNDLE_FOLDER)
    scores = manifest.scores
    assert scores is not None
    many = {f"baseline {k} " + "x" * 100: scores.forecaster for k in range(31)}
    long = manifest.model_copy(update={"scores": scores.model_copy(update={"baselines": many})})
    with pytest.raises(RegistryError, match="characters"):
        version_tags(long, {})
