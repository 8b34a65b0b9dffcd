"""A run of MLflow: how it is opened and ended, and how anything is written to it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.registry import Registry, RegistryError, quiet_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

_BATCH = {"metrics": 1000, "params": 100, "tags": 100}  # MLflow's own limits a call


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is being logged, and how to reach it."""

    client: MlflowClient
    task: str
    experiment_id: str
    run_id: str


@contextmanager
def open_run(client: MlflowClient, registry: Registry, task: str, name: str) -> Iterator[Run]:
    """A run called `name` of the experiment `task`, which is made if need be.

    The run ends FINISHED, FAILED where an exception passes through, KILLED where it is Ctrl-C. A
    process that is killed leaves it RUNNING.
    """
    quiet_mlflow()
    commit = source_commit()
    tags = {"mlflow.source.name": "gatecast fit", "mlflow.source.type": "LOCAL"}
    tags |= {"mlflow.source.git.commit": commit} if commit else {}
    experiment = experiment_id(client, registry, task)
    run = Run(
        client,
        task,
        experiment,
        client.create_run(experiment, tags=tags, run_name=name).info.run_id,
    )
    try:
        yield run
    except KeyboardInterrupt:
        client.set_terminated(run.run_id, "KILLED")
        raise
    except BaseException:
        client.set_terminated(run.run_id, "FAILED")
        raise
    client.set_terminated(run.run_id, "FINISHED")


def source_commit() -> str | None:
    """The commit of our code, where it runs from a repository."""
    from mlflow.utils.git_utils import get_git_commit  # noqa: PLC0415 - mlflow is slow to import

    commit: str | None = get_git_commit(str(Path(__file__).parent))
    return commit


def experiment_id(client: MlflowClient, registry: Registry, task: str) -> str:
    """The experiment `task`, which is made if need be. Raises RegistryError where it is deleted."""
    quiet_mlflow()
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - mlflow is slow to import

    found = client.get_experiment_by_name(task)
    if found is None:
        root = registry.artifact_root
        place = None if root is None else (root / task).absolute().as_uri()
        try:
            return str(client.create_experiment(task, artifact_location=place))
        except MlflowException:  # another fit of this task was first
            found = client.get_experiment_by_name(task)
            if found is None:
                raise
    if found.lifecycle_stage != "active":
        raise RegistryError(f"the MLflow experiment {task!r} is deleted: restore or purge it")
    return str(found.experiment_id)


def metrics_of(
    values: Mapping[str, float | None], *, step: int = 0, of: Mapping[str, str] | None = None
) -> list[Metric]:
    """The values that are there and finite. of: the model and the dataset that they belong to."""
    from mlflow.entities import Metric  # noqa: PLC0415 - mlflow is slow to import

    now = int(time.time() * 1000)
    return [
        Metric(name, float(value), now, step, **(of or {}))
        for name, value in values.items()
        if value is not None and math.isfinite(value)
    ]


def log(
    run: Run,
    *,
    metrics: Sequence[Metric] = (),
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Log any number of each, in as few calls as MLflow's limits allow."""
    from mlflow.entities import Param, RunTag  # noqa: PLC0415 - mlflow is slow to import

    everything: dict[str, Sequence[Any]] = {
        "metrics": metrics,
        "params": [Param(name, value) for name, value in (params or {}).items()],
        "tags": [RunTag(name, value) for name, value in (tags or {}).items()],
    }
    for kind, entities in everything.items():
        for start in range(0, len(entities), _BATCH[kind]):
            batch = entities[start : start + _BATCH[kind]]
            run.client.log_batch(run.run_id, **{kind: batch}, synchronous=True)
