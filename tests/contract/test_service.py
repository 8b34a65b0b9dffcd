"""What training registers, the service serves with the same numbers, from any kind of registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import httpx
import numpy as np
import pytest

from models.bundle import read_bundle
from models.predict import predict
from store.conventions import BUNDLE_FOLDER
from store.settings import Settings
from tests.contract.processes import mlflow_process
from tests.service.running import ready, running
from tests.training.fits import COUNTED, HOURS, TASK, embedded, logged, panel
from training.contexts import context
from training.panel import Panel
from training.registry import Registry, open_client, quiet_mlflow


def request(task: str, given: Panel, origin: int, horizon: int) -> dict[str, Any]:
    """The service's request for what follows the first `origin` steps of every series."""
    steps = np.arange(origin)

    def values(column: Any) -> list[float | None]:
        return [None if np.isnan(value) else float(value) for value in column]

    return {
        "model": task,
        "series": [
            {
                "unique_id": one.unique_id,
                "ds": given.timeline.format(given.timeline.at(one.start, steps)),
                "y": values(one.y[:origin]),
                "exog": {
                    "temperature": values(one.hist_exog[:origin, 0]),
                    "price": values(one.futr_exog[:origin, 0]),
                },
                "futr_exog": {"price": values(one.futr_exog[origin : origin + horizon, 0])},
                "stat_exog": {"area": float(one.stat_exog[0])},
            }
            for one in given.series
        ],
    }


def assert_served(url: str, task: str, given: Panel, folder: Path, *, origin: int) -> None:
    """The service's answer is the forecast of the bundle in `folder`, to the last digits."""
    forecaster, _ = read_bundle(folder / BUNDLE_FOLDER)
    spec = forecaster.spec
    answer = httpx.post(f"{url}/v1/forecast", json=request(task, given, origin, spec.horizon))
    assert answer.status_code == 200, answer.text
    contexts = [context(given, one, spec, origin) for one in given.series]
    expected = predict(forecaster, contexts)
    for one, forecast, values in zip(
        given.series, answer.json()["forecasts"], expected, strict=True
    ):
        clock = given.timeline.at(one.start, np.arange(origin, origin + spec.horizon))
        assert forecast["ds"] == given.timeline.format(clock)
        found = np.array(list(forecast["quantiles"].values())).T
        np.testing.assert_allclose(found, values, rtol=1e-6)


def test_an_embedded_registry(tmp_path: Path) -> None:
    registry = embedded(tmp_path)
    panels = {TASK: panel(HOURS), "counted": panel(COUNTED)}
    folders = {}
    for task, given in panels.items():
        source = logged(registry, given, task=task).source
        folders[task] = Path(unquote(urlparse(source).path))
        open_client(registry).set_registered_model_alias(task, "champion", "1")
    settings = Settings(var=tmp_path, port=0, forecast_threads=1)
    with running(settings) as url:
        ready(url)
        for task, given in panels.items():
            assert_served(url, task, given, folders[task], origin=194)
        [version] = httpx.get(f"{url}/v1/models/{TASK}/versions").json()["versions"]
    assert version["cell"] == "lstm"
    assert version["scores"]["mase"] > 0
    assert version["baselines"]["seasonal_naive"]["mase"] > 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_tracking_server_that_proxies_artifacts(tmp_path: Path) -> None:
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
    var = tmp_path / "var"
    with mlflow_process(command, tmp_path, health="/health") as tracking:
        registry = Registry(tracking, tracking, None)
        source = logged(registry).source
        open_client(registry).set_registered_model_alias(TASK, "champion", "1")
        settings = Settings(
            var=var, port=0, tracking_uri=tracking, registry_uri=tracking, forecast_threads=1
        )
        folder = quiet_mlflow().artifacts.download_artifacts(
            artifact_uri=source, dst_path=str(tmp_path), tracking_uri=tracking
        )
        with running(settings) as url:
            ready(url)
            assert_served(url, TASK, panel(), Path(folder), origin=190)
    assert sorted(place.name for place in (var / "bundles" / TASK / "1").iterdir()) == [
        "bundle",
        "source",
    ]
