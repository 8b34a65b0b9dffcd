"""What MLflow is told of a fit: one run in the experiment named after the task."""

from __future__ import annotations

import json
import math
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from models.manifest import DataFacts
from training.backtest import Backtest
from training.comparison.kept import KEPT, keep
from training.fit import Fit
from training.panel import Panel
from training.plots import comparison, error_by_horizon, fan_chart, loss_curve
from training.registry import Registry, RegistryError, quiet_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

Value = str | int | float | bool | None
Settings = Mapping[str, Value | Sequence[Value]]
"""How a fit was trained, by name: flat, since MLflow's parameters are."""

_BATCH = {"metrics": 1000, "params": 100, "tags": 100}  # MLflow's own limits a call
_PARAMETER_LENGTH = 6000  # MLflow's, in characters
_BY_HORIZON = ("mase", "smape", "wql")
_LONGEST_BY_HORIZON = 400  # steps; beyond, the table in the artifacts has to do


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
    experiment = _experiment(client, registry, task)
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


def log_settings(run: Run, fit: Fit, settings: Settings) -> None:
    """The spec (`spec.horizon` …), the training settings (`fit.seed` …) and the machine."""
    spec = fit.forecaster.spec.model_dump(mode="json")
    timeline = spec.pop("timeline")
    values: dict[str, Any] = {f"spec.{name}": value for name, value in spec.items()}
    values |= {f"spec.timeline.{name}": value for name, value in timeline.items()}
    values |= {f"fit.{name}": value for name, value in settings.items()}
    values["fit.seed"] = fit.seed
    values |= {f"machine.{name}": value for name, value in machine().items()}
    _log(run, params={name: _text(value) for name, value in values.items()})


def log_data(run: Run, data: DataFacts) -> None:
    """The data as a dataset of the run, which MLflow's page lists and searches by digest."""
    quiet_mlflow()
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415 - slow to import

    facts = {"n_series": data.n_series, "n_observations": data.n_observations}
    dataset = Dataset(
        name=run.task,
        digest=dataset_digest(data),
        source_type="local",
        source=json.dumps({"uri": data.source}),
        profile=json.dumps(facts | {"first": data.first, "last": data.last}),
    )
    training = InputTag("mlflow.data.context", "training")
    run.client.log_inputs(run.run_id, [DatasetInput(dataset, [training])])
    _log(run, tags={"gatecast.digest": data.digest})


def dataset_digest(data: DataFacts) -> str:
    """As much of the digest as MLflow has room for."""
    return data.digest[:32]


def log_history(run: Run, fit: Fit) -> None:
    """Losses and learning rate by step, and what the fit took."""
    metrics = [
        metric
        for record in fit.history
        for metric in _metrics(
            {
                "train_loss": record.train_loss,
                "valid_loss": record.valid_loss,
                "lr": record.lr,
                "elapsed_seconds": record.seconds,
            },
            step=record.step,
        )
    ]
    metrics += _metrics(
        {
            "fit/seconds": fit.seconds,
            "fit/cpu_seconds": fit.cpu_seconds,
            "fit/peak_memory_bytes": float(fit.peak_memory_bytes),
        }
    )
    _log(run, metrics=metrics)


def log_scores(run: Run, backtest: Backtest, name: str, baselines: Sequence[str]) -> None:
    """`mase` … of the forecaster and `baseline/seasonal_naive/mase` … beside it.

    Those that people look at by step ahead are logged as such too, `by_horizon/mase`, a step of the
    metric being a step ahead.
    """
    metrics: list[Metric] = []
    for prefix, each in [("", name), *((f"baseline/{b}/", b) for b in baselines)]:
        scores = backtest.scores[each]
        metrics += _metrics({prefix + metric: v for metric, v in scores.overall.items()})
        if backtest.windows.horizon <= _LONGEST_BY_HORIZON:
            for metric in _BY_HORIZON:
                for step, value in enumerate(scores.by_horizon[metric].tolist(), start=1):
                    metrics += _metrics({f"{prefix}by_horizon/{metric}": value}, step=step)
    _log(run, metrics=metrics)


def log_files(
    run: Run,
    fit: Fit,
    backtest: Backtest,
    panel: Panel,
    *,
    name: str,
    baselines: Sequence[str],
) -> None:
    """The charts, as PNG under `plots/`; scores by series and step, and forecasts, `backtest/`.

    The forecasts are those of the version, of the baselines and of registered versions beside them.
    """
    forecasters = [each for each in backtest.scores if each not in baselines]
    charts = {
        "loss": loss_curve(fit.history),
        "forecasts": fan_chart(panel, backtest, name),
        "error_by_horizon": error_by_horizon(backtest, forecasters),
        "comparison": comparison(backtest, forecasters),
    }
    with tempfile.TemporaryDirectory() as scratch:
        plots, tables = Path(scratch, "plots"), Path(scratch, "backtest")
        plots.mkdir()
        tables.mkdir()
        for title, figure in charts.items():
            figure.savefig(plots / f"{title}.png")
        backtest.by_series().write_csv(tables / "by_series.csv")
        backtest.by_horizon().write_csv(tables / "by_horizon.csv")
        rivals = [each for each in forecasters if each.startswith("version ")]
        keep(Path(scratch, KEPT), backtest, [name, *rivals, *baselines])
        run.client.log_artifacts(run.run_id, scratch)


def log_model_scores(
    run: Run, model_id: str, data: DataFacts, overall: Mapping[str, float]
) -> None:
    """The overall scores again, tied to model and data: so MLflow finds a model by its score."""
    of = {"model_id": model_id, "dataset_name": run.task, "dataset_digest": dataset_digest(data)}
    _log(run, metrics=_metrics(overall, of=of))


def machine() -> dict[str, Value]:
    """What a fit ran on: processor, cores, memory in bytes, platform."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "platform": platform.platform(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _experiment(client: MlflowClient, registry: Registry, task: str) -> str:
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


def _metrics(
    values: Mapping[str, float], *, step: int = 0, of: Mapping[str, str] | None = None
) -> list[Metric]:
    """The values that are finite. of: the model and the dataset that they belong to."""
    from mlflow.entities import Metric  # noqa: PLC0415 - mlflow is slow to import

    now = int(time.time() * 1000)
    return [
        Metric(name, float(value), now, step, **(of or {}))
        for name, value in values.items()
        if math.isfinite(value)
    ]


def _log(
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


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _PARAMETER_LENGTH else text[: _PARAMETER_LENGTH - 1] + "…"
