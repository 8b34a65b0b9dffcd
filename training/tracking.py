"""What MLflow is told of a fit: one run in the experiment named after the task."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from models.manifest import DataFacts
from training.backtest import Backtest
from training.comparison.kept import KEPT, keep
from training.fit import Fit
from training.panel import Panel
from training.plots import comparison, error_by_horizon, fan_chart, loss_curve
from training.registry import quiet_mlflow
from training.tracked_run import Run, log, metrics_of

if TYPE_CHECKING:
    from mlflow.entities import Metric

Value = str | int | float | bool | None
Settings = Mapping[str, Value | Sequence[Value]]
"""How a fit was trained, by name: flat, since MLflow's parameters are."""

_PARAMETER_LENGTH = 6000  # MLflow's, in characters
_BY_HORIZON = ("mase", "smape", "wql")
_LONGEST_BY_HORIZON = 400  # steps; beyond, the table in the artifacts has to do


def log_settings(run: Run, fit: Fit, settings: Settings) -> None:
    """The spec (`spec.horizon` …), the training settings (`fit.seed` …) and the machine."""
    spec = fit.forecaster.spec.model_dump(mode="json")
    timeline = spec.pop("timeline")
    values: dict[str, Any] = {f"spec.{name}": value for name, value in spec.items()}
    values |= {f"spec.timeline.{name}": value for name, value in timeline.items()}
    values |= {f"fit.{name}": value for name, value in settings.items()}
    values["fit.seed"] = fit.seed
    values |= {f"machine.{name}": value for name, value in machine().items()}
    log(run, params={name: _text(value) for name, value in values.items()})


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
    log(run, tags={"gatecast.digest": data.digest})


def dataset_digest(data: DataFacts) -> str:
    """As much of the digest as MLflow has room for."""
    return data.digest[:32]


def log_history(run: Run, fit: Fit) -> None:
    """Losses and learning rate by step, and what the fit took."""
    metrics = [
        metric
        for record in fit.history
        for metric in metrics_of(
            {
                "train_loss": record.train_loss,
                "valid_loss": record.valid_loss,
                "lr": record.lr,
                "elapsed_seconds": record.seconds,
            },
            step=record.step,
        )
    ]
    metrics += metrics_of(
        {
            "fit/seconds": fit.seconds,
            "fit/cpu_seconds": fit.cpu_seconds,
            "fit/peak_memory_bytes": float(fit.peak_memory_bytes),
        }
    )
    log(run, metrics=metrics)


def log_scores(run: Run, backtest: Backtest, name: str, baselines: Sequence[str]) -> None:
    """`mase` … of the forecaster and `baseline/seasonal_naive/mase` … beside it.

    Those that people look at by step ahead are logged as such too, `by_horizon/mase`, a step of the
    metric being a step ahead.
    """
    metrics: list[Metric] = []
    for prefix, each in [("", name), *((f"baseline/{b}/", b) for b in baselines)]:
        scores = backtest.scores[each]
        metrics += metrics_of({prefix + metric: v for metric, v in scores.overall.items()})
        if backtest.windows.horizon <= _LONGEST_BY_HORIZON:
            for metric in _BY_HORIZON:
                for step, value in enumerate(scores.by_horizon[metric].tolist(), start=1):
                    metrics += metrics_of({f"{prefix}by_horizon/{metric}": value}, step=step)
    log(run, metrics=metrics)


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
        "loss": loss_curve(fit.history, fit.best_step),
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
    log(run, metrics=metrics_of(overall, of=of))


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


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _PARAMETER_LENGTH else text[: _PARAMETER_LENGTH - 1] + "…"
