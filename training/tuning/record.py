"""What MLflow is told of a search: a run for it, one nested in it for each trial, and charts."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from training.registry import Registry, open_client
from training.tracked_run import Run, experiment_id, log, metrics_of

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_RUN = "mlflow_run"
_PARENT = "mlflow.parentRunId"
_FEWEST_TO_CHART = 2


def search_run(registry: Registry, task: str, study: Study, facts: dict[str, str]) -> Run:
    """The run of a study, the same one for every process and resumption."""
    client = open_client(registry)
    known: str | None = study.user_attrs.get(_RUN)
    place = experiment_id(client, registry, task)
    if known is None:
        tags = {"mlflow.source.name": "gatecast tune", "mlflow.source.type": "LOCAL"}
        known = client.create_run(place, tags=tags, run_name="tune").info.run_id
        log(Run(client, task, place, known), params=facts)
        study.set_user_attr(_RUN, known)
    else:
        client.set_terminated(known, "RUNNING")
    return Run(client, task, place, known)


def log_trial(registry: Registry, task: str, parent: str, trial: FrozenTrial) -> None:
    """A nested run of a trial that has ended: its settings, and the validation loss by batch."""
    client = open_client(registry)
    place = experiment_id(client, registry, task)
    tags = {_PARENT: parent, "gatecast.trial": trial.state.name.lower()}
    began = None if trial.datetime_start is None else _milliseconds(trial.datetime_start)
    made = client.create_run(place, start_time=began, tags=tags, run_name=f"trial {trial.number}")
    run = Run(client, task, place, made.info.run_id)
    log(run, params={name: str(value) for name, value in trial.params.items()})
    seen = [
        each
        for step, value in sorted(trial.intermediate_values.items())
        for each in metrics_of({"valid_loss": value}, step=step)
    ]
    if trial.value is not None:
        seen += metrics_of({"best_valid_loss": trial.value})
    log(run, metrics=seen)
    ended = None if trial.datetime_complete is None else _milliseconds(trial.datetime_complete)
    failed = trial.state.name == "FAIL"
    client.set_terminated(made.info.run_id, "FAILED" if failed else "FINISHED", ended)


def end_search(run: Run, study: Study, *, status: str) -> None:
    """The charts of a search as PNG under `plots/`, the best settings, and the run's end."""
    from optuna.trial import TrialState  # noqa: PLC0415 - slow to import

    whole = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if whole:
        log(run, metrics=metrics_of({"best_valid_loss": study.best_value}))
        log(run, tags={f"gatecast.best.{k}": str(v) for k, v in study.best_params.items()})
    if len(whole) >= _FEWEST_TO_CHART:
        with tempfile.TemporaryDirectory() as scratch:
            plots = Path(scratch, "plots")
            plots.mkdir()
            _draw(study, plots)
            run.client.log_artifacts(run.run_id, scratch)
    run.client.set_terminated(run.run_id, status)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _draw(study: Study, folder: Path) -> None:
    import matplotlib  # noqa: PLC0415 - slow to import

    matplotlib.use("agg")  # Optuna draws with pyplot, which would look for a screen
    from matplotlib import pyplot  # noqa: PLC0415
    from optuna.visualization import matplotlib as charts  # noqa: PLC0415

    drawn: dict[str, Callable[[Study], object]] = {
        "history": charts.plot_optimization_history,
        "importances": charts.plot_param_importances,
        "losses": charts.plot_intermediate_values,
        "settings": charts.plot_slice,
    }
    with warnings.catch_warnings(), pyplot.rc_context():
        warnings.simplefilter("ignore")  # Optuna's charts are "experimental" since version 2
        for name, draw in drawn.items():
            draw(study)
            figure = pyplot.gcf()
            figure.savefig(folder / f"{name}.png", bbox_inches="tight")
            pyplot.close(figure)
