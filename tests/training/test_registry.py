from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from store.settings import Settings
from training.registry import Registry, open_client


def test_the_embedded_registry_lies_under_var_whatever_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    registry = Registry.embedded(Path("var"))
    assert registry.tracking_uri == registry.registry_uri == f"sqlite:///{tmp_path}/var/mlflow.db"
    assert registry.artifact_root == tmp_path / "var" / "mlartifacts"


def test_settings_without_a_server_mean_the_embedded_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    assert Registry.of(Settings(var=tmp_path)) == Registry.embedded(tmp_path)


def test_mlflows_own_variables_are_honoured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://registry:5000")
    expected = Registry("http://tracking:5000", "http://registry:5000", None)
    assert Registry.of(Settings(var=tmp_path)) == expected


def test_a_client_makes_the_folder_and_sets_no_global_uri(tmp_path: Path) -> None:
    import mlflow  # noqa: PLC0415 - slow to import

    before = mlflow.get_tracking_uri()
    client = open_client(Registry.embedded(tmp_path / "new" / "var"))
    assert client.search_registered_models() == []
    assert (tmp_path / "new" / "var" / "mlflow.db").exists()
    assert mlflow.get_tracking_uri() == before


def test_importing_us_does_not_import_mlflow() -> None:
    script = """
import sys
from training import compare, plots, register, render, tracking
from training.promotion import aliases as promotion
assert "mlflow" not in sys.modules
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
