"""Real versions in a real embedded registry, made without a fit: untrained forecasters do."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.bundle import write_bundle
from models.context import Context
from models.forecaster import Forecaster, new_forecaster
from models.manifest import DataFacts, Score, Scores, Standing
from models.spec import Spec
from models.timeline import Timeline
from models.warming import Warming
from store import conventions
from store.settings import Settings
from training.memory import measure_memory

HOURLY = Timeline(kind="time", freq="h")
COUNTED = Timeline(kind="integer", freq="h")


def spec(**changes: Any) -> Spec:
    """A spec small enough to forecast in a millisecond."""
    values: dict[str, Any] = {
        "cell": "gru",
        "timeline": HOURLY,
        "horizon": 6,
        "input_size": 24,
        "lags": 24,
        "hidden_size": 4,
        "season": (24,),
    }
    return Spec(**(values | changes))


def context_of(spec: Spec, steps: int = 60) -> Context:
    """A context that any forecaster of the spec can read."""
    return Context(
        y=100 + 10 * np.sin(np.arange(steps) / 24 * 2 * np.pi),
        exog=np.zeros((steps, spec.exog_size), np.float32),
        futr=np.zeros((spec.horizon, spec.n_futr), np.float32),
        stat=np.zeros(len(spec.stat_exog), np.float32),
    )


def write(
    folder: Path,
    spec: Spec,
    seed: int = 0,
    warming: Warming | None = None,
    *,
    memory: Sequence[Context] = (),
) -> Forecaster:
    """A new bundle with an untrained forecaster. memory: pasts to measure it on."""
    forecaster = new_forecaster(spec, seed).warm(warming)
    score = Score(overall=0.5, by_horizon=(0.5,) * spec.horizon)
    standing = Standing(n_series=1, n_windows=1, metrics={"mase": score})
    write_bundle(
        folder,
        forecaster,
        data=DataFacts(
            n_series=1, n_observations=60, first=0, last=59, digest="0" * 64, source="a test"
        ),
        golden=context_of(spec),
        scores=Scores(
            windows="0" * 64,
            step_size=1,
            season=1,
            horizon=spec.horizon,
            forecaster=standing,
            baselines={"seasonal_naive": standing},
        ),
        seed=seed,
        memory=measure_memory(forecaster, memory),
    )
    return forecaster


class EmbeddedRegistry:
    """The registry that settings name, as training writes it; by default the one under `var`."""

    def __init__(self, settings: Settings) -> None:
        settings.var.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's own, of what it imports
            from mlflow import MlflowClient  # noqa: PLC0415 - slow to import

            self._client: Any = MlflowClient(settings.tracking_uri, settings.registry_uri)
        self._artifacts = settings.artifacts
        self._server = settings.tracking_uri.startswith("http")

    def register(
        self,
        task: str,
        spec: Spec,
        *,
        seed: int = 0,
        champion: bool = True,
        damage: bool = False,
        memory: Sequence[Context] = (),
    ) -> str:
        """A new version of a task; returns its number. `damage` alters its weights."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "model", conventions.BUNDLE_FOLDER)
            write(folder, spec, seed, memory=memory)
            if damage:
                weights = folder / "weights.safetensors"
                content = bytearray(weights.read_bytes())
                content[-1] ^= 0xFF
                weights.write_bytes(content)
            return self.register_folder(task, Path(scratch, "model"), champion=champion)

    def register_folder(self, task: str, folder: Path, *, champion: bool = True) -> str:
        """A new version of a task from the folder of a logged model."""
        client = self._client
        model = client.create_logged_model(self._experiment(task), name="gru")
        client.log_model_artifacts(model.model_id, str(folder))
        client.finalize_logged_model(model.model_id, "READY")
        # a server asks for it; a client of a database would look for it wherever MLflow's is
        known = model.model_id if self._server else None
        return self.register_source(
            task, model.artifact_location, champion=champion, model_id=known
        )

    def register_source(
        self, task: str, source: str, *, champion: bool = True, model_id: str | None = None
    ) -> str:
        """A new version of a task, said to lie wherever `source` is."""
        client = self._client
        if not client.search_registered_models(filter_string=f"name = '{task}'"):
            tags = {conventions.TASK_TAG: conventions.TASK_TAG_VALUE}
            client.create_registered_model(task, tags=tags)
        version = client.create_model_version(
            task,
            source=source,
            model_id=model_id,
            tags={
                conventions.CELL_TAG: "gru",
                conventions.PARAMETERS_TAG: "1234",
                conventions.SCORES_TAG: '{"mase":0.5}',
                conventions.BASELINES_TAG: '{"seasonal_naive":{"mase":1.0}}',
            },
        ).version
        if champion:
            self.alias(task, conventions.CHAMPION, version)
        return str(version)

    def register_untagged(self, name: str) -> None:
        """A registered model that somebody else made."""
        self._client.create_registered_model(name)

    def alias(self, task: str, alias: str, version: str) -> None:
        self._client.set_registered_model_alias(task, alias, version)

    def delete_alias(self, task: str, alias: str) -> None:
        self._client.delete_registered_model_alias(task, alias)

    def delete(self, task: str) -> None:
        self._client.delete_registered_model(task)

    def _experiment(self, task: str) -> str:
        found = self._client.get_experiment_by_name(task)
        if found is not None:
            return str(found.experiment_id)
        location = None if self._server else (self._artifacts / task).as_uri()
        return str(self._client.create_experiment(task, artifact_location=location))


def copy_registry(source: Path, target: Path) -> None:
    """A registry of one's own, in a moment: MLflow takes a second to make its tables."""
    shutil.copytree(source, target, dirs_exist_ok=True)
