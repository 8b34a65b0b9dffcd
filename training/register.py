"""From a fit to a version of its task.

Nothing half-written is ever registered: the version is the last thing made, in one transaction with
all its tags, after the logged model was downloaded again, its bundle checked and its forecasts
compared. A process that is killed before leaves an unfinished run and no version.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from models.bundle import read_bundle, write_bundle
from models.context import Context
from models.manifest import Manifest
from models.predict import point, predict
from models.spec import Spec
from store.conventions import BUNDLE_FOLDER, TASK_TAG, TASK_TAG_VALUE
from training.backtest import Backtest
from training.contexts import context
from training.facts import data_facts, scores
from training.fit import Fit
from training.latency import measure_latency
from training.logged_model import input_example, save_model
from training.panel import Panel, Series
from training.registry import Registry, RegistryError, open_client, quiet_mlflow
from training.tracked_run import Run, open_run, source_commit
from training.tracking import (
    Settings,
    log_data,
    log_files,
    log_history,
    log_model_scores,
    log_scores,
    log_settings,
)
from training.versions import (
    COST_TAG,
    Cost,
    Duel,
    Version,
    registered_task,
    version_tags,
    versions,
)

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import LoggedModel


def log_fit(
    registry: Registry,
    task: str,
    fit: Fit,
    backtest: Backtest,
    panel: Panel,
    *,
    name: str,
    baselines: Sequence[str],
    source: str,
    settings: Settings,
) -> Version:
    """Log a fit as a run of the experiment `task` and register it as a version of the task.

    backtest: has the forecaster's scores as `name` and those of `baselines`. source: where the
    panel came from. Raises RegistryError where the task's name is taken by a model that is not
    ours, or what was logged does not come back as it was.
    """
    client = open_client(registry)
    registered_task(client, task)
    forecaster, data = fit.forecaster, data_facts(panel, source, fit.cutoffs)
    series = _golden_series(panel, forecaster.spec)
    with open_run(client, registry, task, name) as run, tempfile.TemporaryDirectory() as scratch:
        log_settings(run, fit, settings)
        log_data(run, data)
        log_history(run, fit)
        log_scores(run, backtest, name, baselines)
        log_files(run, fit, backtest, panel, name=name, baselines=baselines)
        bundle = Path(scratch, "bundle")
        manifest = write_bundle(
            bundle,
            forecaster,
            data=data,
            golden=context(panel, series, forecaster.spec, len(series)),
            scores=scores(backtest, name, baselines),
            seed=fit.seed,
            memory=fit.memory,
        )
        tags = version_tags(manifest, _duels(backtest, name, baselines))
        tags[COST_TAG] = _cost(bundle, fit, manifest).model_dump_json()
        model = _log_model(run, registry, bundle, fit, _Shown.of(panel, series, forecaster.spec))
        log_model_scores(run, model.model_id, data, backtest.scores[name].overall)
        number = _create_version(run, model, tags)
    return next(version for version in versions(registry, task) if version.number == number)


@dataclass(frozen=True, slots=True)
class _Shown:
    """One series as it goes into the logged model: rows for people, a context for us."""

    example: pd.DataFrame
    context: Context

    @classmethod
    def of(cls, panel: Panel, series: Series, spec: Spec) -> Self:
        """The newest window of `series`, as `input_example` cuts it."""
        end = len(series)
        if spec.futr_exog:
            end = int(np.flatnonzero(~np.isnan(series.y))[-1]) + 1
        whole, window = context(panel, series, spec, end), slice(-spec.input_size, None)
        newest = Context(whole.y[window], whole.exog[window], whole.futr, whole.stat)
        return cls(input_example(panel, series, spec), newest)


def _log_model(run: Run, registry: Registry, bundle: Path, fit: Fit, shown: _Shown) -> LoggedModel:
    """Log the pyfunc model of a bundle, ready only after it came back whole."""
    quiet_mlflow()
    from mlflow.entities import LoggedModelOutput  # noqa: PLC0415 - mlflow is slow to import
    from mlflow.models import Model  # noqa: PLC0415

    spec, client = fit.forecaster.spec, run.client
    model = client.create_logged_model(
        run.experiment_id, name=spec.cell, source_run_id=run.run_id, model_type="forecaster"
    )
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "model")
            known = Model(
                artifact_path=model.artifact_location,
                run_id=run.run_id,
                model_uuid=model.model_id,
                model_id=model.model_id,
            )
            save_model(folder, bundle, spec, shown.example, known)
            client.log_model_artifacts(model.model_id, str(folder))
            _check(registry, model.artifact_location, folder, fit, shown)
        step = fit.history[-1].step if fit.history else 0
        client.log_outputs(run.run_id, [LoggedModelOutput(model.model_id, step)])
        return client.finalize_logged_model(model.model_id, "READY")
    except BaseException:
        client.finalize_logged_model(model.model_id, "FAILED")
        raise


def _check(registry: Registry, location: str, saved: Path, fit: Fit, shown: _Shown) -> None:
    """Fetch what was logged, and hold it against what was saved and what the fit forecasts."""
    mlflow = quiet_mlflow()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            fetched = mlflow.artifacts.download_artifacts(
                artifact_uri=location,
                dst_path=scratch,
                tracking_uri=registry.tracking_uri,
                registry_uri=registry.registry_uri,
            )
            altered = _digests(saved) ^ _digests(Path(fetched))
            if altered:
                raise RegistryError(f"came back altered: {min(altered)[0]}")
            forecaster, _ = read_bundle(Path(fetched, BUNDLE_FOLDER))
            loaded = mlflow.pyfunc.load_model(fetched, suppress_warnings=True)
            answer = loaded.predict(shown.example).drop(columns=["unique_id", "ds"]).to_numpy()
        except Exception as error:
            raise RegistryError(f"the logged model: {error}") from error
    spec = fit.forecaster.spec
    expected = predict(fit.forecaster, [shown.context])[0]  # (horizon, outputs)
    table = np.concatenate(
        [point(spec, expected)[:, None], expected if spec.quantiles else expected[:, :0]], axis=1
    )
    _compare(predict(forecaster, [shown.context])[0], expected, "bundle")
    _compare(answer, table, "MLflow model")


def _digests(folder: Path) -> set[tuple[str, str]]:
    """The relative path and SHA-256 of every file."""
    return {
        (file.relative_to(folder).as_posix(), sha256(file.read_bytes()).hexdigest())
        for file in folder.rglob("*")
        if file.is_file()
    }


def _compare(found: NDArray[np.float64], expected: NDArray[np.float64], what: str) -> None:
    if found.shape != expected.shape or not np.allclose(found, expected, rtol=1e-4):
        raise RegistryError(f"the logged {what} forecasts other numbers than the fit")


def _create_version(run: Run, model: LoggedModel, tags: dict[str, str]) -> int:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - mlflow is slow to import

    client, task = run.client, run.task
    if registered_task(client, task) is None:
        try:
            client.create_registered_model(task, tags={TASK_TAG: TASK_TAG_VALUE})
        except MlflowException:  # another fit of this task was first
            if registered_task(client, task) is None:
                raise
    # the location itself, not models:/<id>, which MLflow looks up with a client of its own
    version = client.create_model_version(
        task, source=model.artifact_location, run_id=run.run_id, tags=tags, model_id=model.model_id
    )
    return int(version.version)


def _duels(backtest: Backtest, name: str, baselines: Sequence[str]) -> dict[str, Duel]:
    duels = {}
    for baseline in baselines:
        scores = backtest.among((name, baseline)).scores
        ours, theirs = (scores[each].overall["mase"] for each in (name, baseline))
        duels[baseline] = Duel(
            forecaster=ours if np.isfinite(ours) else None,
            baseline=theirs if np.isfinite(theirs) else None,
            n_windows=scores[name].n_windows,
        )
    return duels


def _cost(bundle: Path, fit: Fit, manifest: Manifest) -> Cost:
    took = measure_latency(fit.forecaster, manifest.golden.context(manifest.spec))
    return Cost(
        seconds=round(fit.seconds, 3),
        bytes=sum(file.stat().st_size for file in bundle.iterdir()),
        step_ms=float(f"{took.step_ms:.4g}"),
        batch_ms=float(f"{took.batch_ms:.4g}"),
        gatecast=metadata.version("gatecast"),
        commit=source_commit(),
    )


def _golden_series(panel: Panel, spec: Spec) -> Series:
    """The first series that has an observation in its newest window."""
    for series in panel.series:
        if np.isfinite(series.y[-spec.input_size :]).any():
            return series
    raise RegistryError("no series has an observation in its newest window")
