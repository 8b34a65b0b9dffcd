from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from models.bundle import MANIFEST, read_bundle
from models.manifest import WEIGHTS
from store.conventions import (
    BUNDLE_FOLDER,
)
from tests.training.fits import TASK, backtest_of, embedded, file_of, fit_of, logged, panel, spec
from training import register
from training.logged_model import save_model
from training.register import log_fit
from training.registry import Registry, RegistryError, open_client
from training.versions import registered_task, versions


def runs_and_models(registry: Registry) -> tuple[list[str], list[str]]:
    client = open_client(registry)
    experiment = client.get_experiment_by_name(TASK).experiment_id
    runs = client.search_runs([experiment])
    models = client.search_logged_models([experiment])
    return [run.info.status for run in runs], [str(model.status) for model in models]


def damaging(name: str, change: bytes | None) -> Callable[..., None]:
    """Uploads a model, and then does what a full disk or a bad cable does to one of its files."""
    upload = MlflowClient.log_model_artifacts

    def uploading(client: MlflowClient, model_id: str, folder: str) -> None:
        upload(client, model_id, folder)
        file = file_of(client.get_logged_model(model_id).artifact_location) / name
        file.unlink() if change is None else file.write_bytes(change)

    return uploading


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (f"{BUNDLE_FOLDER}/{WEIGHTS}", b"cut"),
        (f"{BUNDLE_FOLDER}/{MANIFEST}", None),
        ("artifacts/models/head.py", b"raise RuntimeError('altered')"),
        ("MLmodel", None),
        ("pyfunc_model.py", b""),
        ("more.txt", b"more"),
    ],
)
def test_what_does_not_come_back_whole_is_not_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, change: bytes | None
) -> None:
    registry = embedded(tmp_path / "var")
    monkeypatch.setattr(MlflowClient, "log_model_artifacts", damaging(name, change))
    with pytest.raises(RegistryError, match=f"came back altered: {name}"):
        logged(registry)
    assert registered_task(open_client(registry), TASK) is None
    assert runs_and_models(registry) == (["FAILED"], ["FAILED"])


def test_a_model_that_does_not_load_is_not_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def saved(folder: Path, *parts: Any) -> None:
        save_model(folder, *parts)
        (folder / "artifacts" / "models" / "head.py").write_text("raise RuntimeError('a bug')")

    registry = embedded(tmp_path / "var")
    monkeypatch.setattr(register, "save_model", saved)
    with pytest.raises(RegistryError, match="a bug"):
        logged(registry)
    assert registered_task(open_client(registry), TASK) is None


def test_artifacts_that_cannot_be_written_leave_no_version(tmp_path: Path) -> None:
    registry = embedded(tmp_path / "var")
    logged(registry)
    models = tmp_path / "var" / "mlartifacts" / TASK / "models"
    shutil.rmtree(models)
    models.write_text("in the way")
    with pytest.raises(OSError, match="models"):
        logged(registry)
    assert [version.number for version in versions(registry, TASK)] == [1]
    assert sorted(runs_and_models(registry)[0]) == ["FAILED", "FINISHED"]


class Interrupting(dict[str, float]):
    """Settings during whose reading the user presses Ctrl-C."""

    def items(self) -> Any:
        raise KeyboardInterrupt


def test_ctrl_c_ends_the_run_as_killed(tmp_path: Path) -> None:
    registry = embedded(tmp_path / "var")
    given = panel()
    made = fit_of(spec(), given)
    with pytest.raises(KeyboardInterrupt):
        log_fit(
            registry,
            TASK,
            made,
            backtest_of(given, lstm=made),
            given,
            name="lstm",
            baselines=["seasonal_naive"],
            source="loads.csv",
            settings=Interrupting(),
        )
    assert runs_and_models(registry) == (["KILLED"], [])


@pytest.fixture
def killed(tmp_path: Path) -> Registry:
    """A registry that three processes were killed over, each logging one fit after another."""
    registry = embedded(tmp_path / "var")
    script = (
        "import sys, pathlib\n"
        "from tests.training.fits import logged, Registry\n"
        "registry = Registry.embedded(pathlib.Path(sys.argv[1]))\n"
        "while True:\n"
        "    print(logged(registry, cell='gru').number, flush=True)\n"
    )
    random = np.random.default_rng(0)
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "var")],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline()
            time.sleep(random.uniform(0.0, 1.5))
            writer.kill()
    return registry


@pytest.mark.slow
def test_every_version_that_a_killed_process_leaves_loads(killed: Registry) -> None:
    left = versions(killed, TASK)
    assert len(left) >= 3
    for version in left:
        read_bundle(file_of(version.source) / BUNDLE_FOLDER)
        assert version.facts is not None
    assert logged(killed).number == left[0].number + 1
