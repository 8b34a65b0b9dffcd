"""MLflow's own servers, with what we log: its scoring server, and its registry over HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from models.bundle import read_bundle
from models.context import Context
from models.predict import predict
from store.conventions import BUNDLE_FOLDER, CHAMPION
from store.database import open_database
from store.migrate import migrate
from tests.contract.processes import mlflow_process
from tests.training.fits import TASK, embedded, file_of, logged, panel, spec
from training.compare import compare, list_tasks
from training.contexts import context
from training.logged_model import input_example
from training.promotion.aliases import promote_best
from training.registry import Registry, quiet_mlflow
from training.versions import versions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def expected(folder: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """What the service forecasts for the input example of `panel`."""
    forecaster, _ = read_bundle(folder / BUNDLE_FOLDER)
    series, size = panel().series[0], forecaster.spec.input_size
    whole = context(panel(), series, forecaster.spec, len(series))
    given = Context(whole.y[-size:], whole.exog[-size:], whole.futr, whole.stat)
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = predict(forecaster, [given])[0]
    return values


def test_the_scoring_server_answers_with_the_numbers_of_the_service(tmp_path: Path) -> None:
    version = logged(embedded(tmp_path / "var"))
    folder = file_of(version.source)
    request = json.loads((folder / "serving_input_example.json").read_text())
    command = ["models", "serve", "--model-uri", str(folder), "--env-manager", "local"]
    with mlflow_process(command, tmp_path, health="/ping") as url:
        whole = httpx.post(f"{url}/invocations", json=request, timeout=30)
        params = {"horizon": 2, "quantiles": [0.1]}
        part = httpx.post(f"{url}/invocations", json=request | {"params": params}, timeout=30)
        wrong = httpx.post(
            f"{url}/invocations", json=request | {"params": {"horizon": 5000}}, timeout=30
        )
    levels = [f"q{level:g}" for level in spec().quantiles]
    values = expected(folder)
    answer = pd.DataFrame(whole.raise_for_status().json()["predictions"])
    np.testing.assert_allclose(answer[levels], values, rtol=1e-9)
    answer = pd.DataFrame(part.raise_for_status().json()["predictions"])
    np.testing.assert_allclose(answer["q0.1"], values[:2, levels.index("q0.1")], rtol=1e-9)
    assert wrong.status_code == 400
    assert "between 1 and 4096" in wrong.text


@pytest.mark.long
def test_a_tracking_server_that_proxies_artifacts_serves_as_registry(tmp_path: Path) -> None:
    command = [
        "server",
        "--backend-store-uri",
        f"sqlite:///{tmp_path}/server.db",
        "--artifacts-destination",
        str(tmp_path / "artifacts"),
        "--host",
        "127.0.0.1",
        "--workers",
        "1",
    ]
    with mlflow_process(command, tmp_path, health="/health") as url:
        registry = Registry(url, url, None)
        for cell in ("lstm", "gru"):
            assert logged(registry, cell=cell).facts is not None
        comparison = compare(registry, TASK)
        assert [row.cell for row in comparison.rows] == ["gru", "lstm"]
        assert comparison.comparable
        assert [task.task for task in list_tasks(registry)] == [TASK]
        migrate(f"sqlite:///{tmp_path}/gatecast.db")
        store = open_database(f"sqlite:///{tmp_path}/gatecast.db")
        done = promote_best(registry, TASK, [1, 2], store=store, by="a test", reason="a test")
        store.close()
        promoted = [v.number for v in versions(registry, TASK) if CHAMPION in v.aliases]
        assert promoted == ([done.champion] if done.promoted else [])
        source = versions(registry, TASK)[0].source
        assert source.startswith("mlflow-artifacts:")
        folder = Path(
            quiet_mlflow().artifacts.download_artifacts(
                artifact_uri=source, dst_path=str(tmp_path / "fetched"), tracking_uri=url
            )
        )
    loaded = quiet_mlflow().pyfunc.load_model(str(folder))
    answer = loaded.predict(input_example(panel(), panel().series[0], spec()))
    levels = [f"q{level:g}" for level in spec().quantiles]
    np.testing.assert_allclose(answer[levels], expected(folder), rtol=1e-9)
