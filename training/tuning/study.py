"""Optuna's study of a task: where it is kept, and the processes that add trials to it."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import make_url, text
from sqlalchemy.schema import CreateSchema

from store.migrate import opened
from training.facts import data_facts
from training.fit import best_loss
from training.loop import FitError, Progress
from training.panel import Panel
from training.registry import Registry
from training.tuning.record import log_trial
from training.tuning.space import Space

_BEAT_SECONDS, _DEAD_SECONDS = 10, 60
_WAIT_SECONDS = 60
"""How long a trial waits for another's, or a stream's, transaction on SQLite."""
_RETRIES = 2
_UNPRUNED = 5
"""Trials that are never cut short: the others are held against them."""
DONE = (TrialState.COMPLETE, TrialState.PRUNED)
"""What counts towards the trials that were asked for."""


@dataclass(frozen=True, slots=True)
class Search:
    """All that a process needs to add trials to a study; it is sent to others whole.

    cutoffs: (n_series,) the leading steps of each series that trials may see. trials: how many the
    study is to have in all. ends: seconds since the epoch after which no trial goes on, or None.
    run: MLflow's, which those of the trials are nested in.
    """

    storage: str
    name: str
    panel: Panel
    space: Space
    cutoffs: NDArray[np.int64]
    trials: int
    ends: float | None
    registry: Registry
    task: str
    run: str


def study_name(task: str, panel: Panel, space: Space, cutoffs: NDArray[np.int64]) -> str:
    """The same for the same task, data, space and seed: so a search goes on, and never on others'.

    The number of threads does not count.
    """
    schedule = space.schedule.model_copy(update={"threads": 0})
    what = (
        data_facts(panel, "", cutoffs).digest,
        space.spec.model_dump_json(),
        schedule.model_dump_json(),
        space.cells,
        space.windows,
    )
    return f"{task}-{hashlib.sha256(repr(what).encode()).hexdigest()[:12]}"


def storage_url(store: str) -> str:
    """Optuna's place in the store's database, which is made if need be. Has the password in it."""
    database = opened(store)
    try:
        url = database.engine.url
        if database.dialect == "postgresql":
            with database.writing() as connection:
                # Optuna names its tables as others might: it has a schema beside ours
                schema = f"{connection.scalar(text('SELECT current_schema()'))}_tuning"
                connection.execute(CreateSchema(schema, if_not_exists=True))
            said = f"{url.query.get('options', '')} -csearch_path={schema}"
            url = url.update_query_dict({"options": said.strip()})
        return url.render_as_string(hide_password=False)
    finally:
        database.close()


@contextmanager
def open_study(storage: str, name: str, *, seed: int) -> Iterator[optuna.Study]:
    """The study, made if need be; its connections are closed at the end of the block."""
    logging.getLogger("optuna").setLevel(logging.ERROR)
    wait = {"timeout": _WAIT_SECONDS} if make_url(storage).get_backend_name() == "sqlite" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # heartbeats, since Optuna 2
        kept = RDBStorage(
            storage,
            engine_kwargs={"connect_args": wait},
            heartbeat_interval=_BEAT_SECONDS,
            grace_period=_DEAD_SECONDS,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES),
        )
    try:
        yield optuna.create_study(
            storage=kept,
            study_name=name,
            sampler=TPESampler(seed=seed, n_startup_trials=_UNPRUNED),
            pruner=MedianPruner(n_startup_trials=_UNPRUNED),
            load_if_exists=True,
        )
    finally:
        kept.engine.dispose()


def begin(study: optuna.Study, space: Space) -> None:
    """Let a new study try the defaults first."""
    study.enqueue_trial(space.defaults, skip_if_exists=True)


def work(search: Search, seed: int) -> None:
    """Add trials to the study until it has as many as asked for, or time is up."""
    left = None if search.ends is None else max(0.0, search.ends - time.time())
    with open_study(search.storage, search.name, seed=seed) as study:
        if finished(study) >= search.trials:
            return
        study.optimize(
            lambda trial: _loss(search, trial),
            timeout=left,
            catch=(FitError,),
            callbacks=[
                MaxTrialsCallback(search.trials, states=DONE),
                lambda _, trial: log_trial(search.registry, search.task, search.run, trial),
                _end_if_alone,
            ],
        )


def finished(study: optuna.Study) -> int:
    """Trials that count."""
    return len(study.get_trials(deepcopy=False, states=DONE))


def best(study: optuna.Study) -> FrozenTrial | None:
    """The trial of the least loss; None where no trial came to its end."""
    whole = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return min(whole, key=lambda trial: trial.value or 0.0, default=None)


def _end_if_alone(study: optuna.Study, _trial: FrozenTrial) -> None:
    """Let a process that was started for a search not outlive a search that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        study.stop()


def _loss(search: Search, trial: optuna.Trial) -> float:
    spec, schedule = search.space.at(search.space.suggest(trial))

    def report(progress: Progress) -> None:
        late = search.ends is not None and time.time() > search.ends
        if progress.record is not None and np.isfinite(progress.record.valid_loss):
            trial.report(progress.record.valid_loss, progress.record.step)
            late = late or trial.should_prune()
        if late:
            raise optuna.TrialPruned

    return best_loss(search.panel, spec, schedule, cutoffs=search.cutoffs, report=report)
