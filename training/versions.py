"""The versions of a task as the registry tells them: what was written on each, and its aliases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from models.manifest import Manifest, Memory, Standing
from store.conventions import (
    BASELINES_TAG,
    CELL_TAG,
    DIGEST_TAG,
    PARAMETERS_TAG,
    SCORES_TAG,
    TASK_TAG,
    TASK_TAG_VALUE,
    task_name,
)
from training.registry import NotThereError, Registry, RegistryError, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

DATA_TAG = "gatecast.data"
"""On a version: JSON, `DataRange`."""
WINDOWS_TAG = "gatecast.windows"
"""On a version: JSON, `Windows`: what its scores are over."""
DUELS_TAG = "gatecast.duels"
"""On a version: JSON, baseline name to `Duel`."""

MEMORY_TAG = "gatecast.memory"
"""On a version: JSON, `models.manifest.Memory`; not there where it was not measured."""

COST_TAG = "gatecast.cost"
"""On a version: JSON, `Cost`; versions of 0.1.0 do not have it."""

_LONGEST_TAG = 5000  # characters; the column's width in MLflow's database
_DIGITS = 6

_FROZEN = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class DataRange(BaseModel):
    """The data that a version was fitted to: first and last step, series and observed values."""

    model_config = _FROZEN

    first: str | int
    last: str | int
    n_series: int
    n_observations: int


class Windows(BaseModel):
    """The backtest that a version's scores come from; equal digests, comparable scores."""

    model_config = _FROZEN

    digest: str
    n_series: int
    n_windows: int
    step_size: int
    horizon: int
    season: int


class Duel(BaseModel):
    """MASE of forecaster and baseline on the windows that both answered; None without value."""

    model_config = _FROZEN

    forecaster: float | None
    baseline: float | None
    n_windows: int

    @property
    def won(self) -> bool:
        """Whether the forecaster has less error; not where either has no value."""
        if self.forecaster is None or self.baseline is None:
            return False
        return self.forecaster < self.baseline


class Cost(BaseModel):
    """What a version took to fit and takes to run, and the code that made it.

    seconds: of the fit. bytes: of its bundle. step_ms, batch_ms: as `training.latency` measures
    them, on the machine of the fit. commit: where the code ran from a repository.
    """

    model_config = _FROZEN

    seconds: float
    bytes: int
    step_ms: float
    batch_ms: float
    gatecast: str
    commit: str | None


Metrics = dict[str, float]


class Facts(BaseModel):
    """All that training writes on a version, read back from its tags."""

    model_config = _FROZEN

    cell: str
    parameters: Annotated[int, Field(ge=0)]
    digest: str
    data: DataRange
    windows: Windows
    scores: Metrics
    baselines: dict[str, Metrics]
    duels: dict[str, Duel]
    memory: Memory | None = None
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a task. facts: None where its tags are not what training writes.

    aliases: sorted; created: aware, UTC; source: where MLflow keeps the logged model.
    """

    task: str
    number: int
    aliases: tuple[str, ...]
    created: datetime
    run_id: str
    source: str
    facts: Facts | None


def version_tags(manifest: Manifest, duels: Mapping[str, Duel]) -> dict[str, str]:
    """The tags of a version. Raises RegistryError for more than MLflow's database holds."""
    scores = manifest.scores
    if scores is None:
        raise RegistryError("a version without scores cannot be compared: backtest it first")
    data, standing = manifest.data, scores.forecaster
    windows = Windows(
        digest=scores.windows,
        n_series=standing.n_series,
        n_windows=standing.n_windows,
        step_size=scores.step_size,
        horizon=scores.horizon,
        season=scores.season,
    )
    baselines = {name: _overall(each) for name, each in scores.baselines.items()}
    tags = {
        CELL_TAG: manifest.spec.cell,
        PARAMETERS_TAG: str(manifest.parameters),
        DIGEST_TAG: data.digest,
        DATA_TAG: DataRange(
            first=data.first,
            last=data.last,
            n_series=data.n_series,
            n_observations=data.n_observations,
        ).model_dump_json(),
        WINDOWS_TAG: windows.model_dump_json(),
        SCORES_TAG: _json(_overall(standing)),
        BASELINES_TAG: _json(baselines),
        DUELS_TAG: _json({name: duel.model_dump() for name, duel in duels.items()}),
    }
    if manifest.memory is not None:
        tags[MEMORY_TAG] = manifest.memory.model_dump_json()
    for name, value in tags.items():
        if len(value) > _LONGEST_TAG:
            raise RegistryError(f"tag {name} has {len(value)} characters, more than {_LONGEST_TAG}")
    return tags


def read_facts(tags: Mapping[str, str]) -> Facts | None:
    """The inverse of `version_tags`; None where a tag is missing or rubbish."""
    json = TypeAdapter(dict[str, Any])
    try:
        return Facts(
            cell=tags[CELL_TAG],
            parameters=int(tags[PARAMETERS_TAG]),
            digest=tags[DIGEST_TAG],
            data=DataRange.model_validate_json(tags[DATA_TAG]),
            windows=Windows.model_validate_json(tags[WINDOWS_TAG]),
            scores=json.validate_json(tags[SCORES_TAG]),
            baselines=json.validate_json(tags[BASELINES_TAG]),
            duels={
                name: Duel.model_validate(duel)
                for name, duel in json.validate_json(tags[DUELS_TAG]).items()
            },
            memory=Memory.model_validate_json(tags[MEMORY_TAG]) if MEMORY_TAG in tags else None,
            cost=Cost.model_validate_json(tags[COST_TAG]) if COST_TAG in tags else None,
        )
    except (KeyError, ValueError, ValidationError):
        return None


def tasks(registry: Registry) -> tuple[str, ...]:
    """The names of all tasks in the registry, sorted."""
    client = open_client(registry)
    wanted = f"tags.`{TASK_TAG}` = '{TASK_TAG_VALUE}'"
    found = _pages(lambda token: client.search_registered_models(wanted, page_token=token))
    return tuple(sorted(model.name for model in found))


def versions(registry: Registry, task: str) -> tuple[Version, ...]:
    """The versions of a task, newest first. Raises RegistryError for what is no task."""
    client = open_client(registry)
    model = registered_task(client, task)
    if model is None:
        known = ", ".join(tasks(registry)) or "none"
        raise NotThereError(f"no task is called {task!r}; there are: {known}")
    by_number: dict[int, list[str]] = {}
    for alias, number in model.aliases.items():
        by_number.setdefault(int(number), []).append(alias)
    found = _pages(lambda token: client.search_model_versions(f"name = '{task}'", page_token=token))
    listed = [_version(task, each, by_number.get(int(each.version), [])) for each in found]
    return tuple(sorted(listed, key=lambda version: -version.number))


def pick(found: Sequence[Version], numbers: Iterable[int]) -> tuple[Version, ...]:
    """Those of `found` that are called for. Raises RegistryError for a number that is not there."""
    wanted = set(numbers)
    missing = sorted(wanted - {version.number for version in found})
    if missing:
        there = ", ".join(str(version.number) for version in found) or "none"
        raise NotThereError(f"no version {missing[0]}; there are: {there}")
    return tuple(version for version in found if version.number in wanted)


def registered_task(client: MlflowClient, task: str) -> Any:
    """MLflow's registered model of a task, or None.

    Raises RegistryError for a name that no task may have, and for a model that somebody else
    registered under it.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - mlflow is slow to import

    try:
        model = client.get_registered_model(task_name(task))
    except ValueError as error:
        raise RegistryError(str(error)) from error
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    if model.tags.get(TASK_TAG) != TASK_TAG_VALUE:
        raise RegistryError(
            f"the registered model {task!r} is not one of ours: choose another name"
        )
    return model


def _version(task: str, version: ModelVersion, aliases: list[str]) -> Version:
    return Version(
        task=task,
        number=int(version.version),
        aliases=tuple(sorted(aliases)),
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        run_id=version.run_id or "",
        source=version.source,
        facts=read_facts(version.tags),
    )


def _overall(standing: Standing) -> Metrics:
    """The overall scores that have a value, to the digits that people compare."""
    return {
        name: float(f"{score.overall:.{_DIGITS}g}")
        for name, score in standing.metrics.items()
        if score.overall is not None
    }


def _json(value: Any) -> str:
    return TypeAdapter(Any).dump_json(value).decode()


def _pages(search: Any) -> list[Any]:
    """Everything that a paged search finds."""
    page = search(None)
    found = list(page)
    while page.token:
        page = search(page.token)
        found += page
    return found
