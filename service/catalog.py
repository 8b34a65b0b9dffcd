"""What is served, and which versions the registry has: read-only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from models.manifest import Manifest, Standing
from service.health import State, state
from service.live.routes import DriftTest, drift_of, drift_test
from service.openapi import problems
from service.parts import PartsOf
from service.problems import problem, unknown
from service.registry import RegistryDownError, RegistryError, VersionFacts
from service.slots import Loaded, Slot
from store.conventions import BASELINES_TAG, CELL_TAG, DIGEST_TAG, PARAMETERS_TAG, SCORES_TAG
from store.drift import Drift

router = APIRouter(prefix="/v1/models", tags=["models"])

Metrics = dict[str, float | None]
_DESCRIBED = ConfigDict(use_attribute_docstrings=True)
ModelName = Annotated[str, Path(max_length=64, examples=["load-hourly"])]

_METRICS: TypeAdapter[Metrics] = TypeAdapter(Metrics)
_BASELINES: TypeAdapter[dict[str, Metrics]] = TypeAdapter(dict[str, Metrics])


class ServedVersion(BaseModel):
    """A version that is loaded: what it reads, what it answers and how well it did."""

    model_config = _DESCRIBED

    version: str
    cell: str
    kind: str
    """`time` for ISO 8601 stamps, `integer` for counted steps."""
    freq: str
    timezone: str
    horizon: int
    input_size: int
    """Newest steps that a forecast looks at directly."""
    quantiles: list[float]
    holidays: str | None
    """The place whose public holidays it knows."""
    hist_exog: list[str]
    futr_exog: list[str]
    stat_exog: list[str]
    categories: dict[str, list[str]]
    """Those that the version knows, of each `stat_exog` that is no number."""
    parameters: int
    created: str
    digest: str
    """Of the data that it was fitted to."""
    scores: Metrics
    """Metric to its mean over all series, windows and steps of the backtest."""
    baselines: dict[str, Metrics]
    """The same of each baseline, on the same windows."""


class Model(BaseModel):
    """A task as it is served here."""

    model_config = _DESCRIBED

    name: str
    state: State
    champion: ServedVersion | None
    aliases: dict[str, str]
    """Alias to version, as the registry said last."""
    last_error: str | None
    """Why the version that the registry names champion is not the one that serves."""
    drift: list[DriftTest] | None
    """Whether the champion's forecasts have become worse, a test a lead; null while the store does
    not answer."""


class Models(BaseModel):
    """All tasks that are served here, by name."""

    models: list[Model]


class RegisteredVersion(BaseModel):
    """A version as the registry describes it; what it does not say is null."""

    model_config = _DESCRIBED

    version: str
    aliases: list[str]
    created: str
    serving: bool
    """Whether it is the champion that answers here now."""
    cell: str | None
    parameters: int | None
    digest: str | None
    scores: Metrics | None
    baselines: dict[str, Metrics] | None


class Versions(BaseModel):
    """The versions of a task, newest first."""

    model: str = Field(examples=["load-hourly"])
    versions: list[RegisteredVersion]


@router.get("", summary="Models")
async def list_models(parts: PartsOf) -> Models:
    """Every task that is served here."""
    tests = await drift_of(parts)
    return Models(models=[_model(slot, tests) for slot in parts.slots])


@router.get("/{model}", summary="One model", responses=problems(404))
async def get_model(model: ModelName, parts: PartsOf) -> Model:
    """A task, its champion, whether it drifts, and why a newer champion does not serve."""
    return _model(parts.library.slot(model), await drift_of(parts, model))


@router.get("/{model}/versions", summary="Versions of a model", responses=problems(404, 503))
async def list_versions(model: ModelName, parts: PartsOf) -> Versions:
    """A task's versions, from the registry; at most the newest 1,000."""
    slot = parts.library.slot(model)
    try:
        versions = await parts.registry.versions(model)
    except RegistryDownError:
        reason = "the registry does not answer; what is loaded still serves"
        raise problem(503, "registry-unavailable", reason, headers={"retry-after": "5"}) from None
    except RegistryError:
        raise unknown("model", "model", "the registry no longer has this model") from None
    serving = None if slot.champion is None else slot.champion.version
    return Versions(model=model, versions=[_version(facts, serving) for facts in versions])


def _model(slot: Slot, tests: Sequence[Drift] | None) -> Model:
    serving = None if slot.champion is None else (slot.task, slot.champion.version)
    return Model(
        name=slot.task,
        state=state(slot),
        champion=None if slot.champion is None else _served(slot.champion),
        aliases=dict(slot.aliases),
        last_error=slot.last_error,
        drift=None
        if tests is None
        else [drift_test(each) for each in tests if (each.task, each.version) == serving],
    )


def _served(loaded: Loaded) -> ServedVersion:
    spec, manifest = loaded.spec, loaded.manifest
    return ServedVersion(
        version=loaded.version,
        cell=spec.cell,
        kind=spec.timeline.kind,
        freq=spec.timeline.freq,
        timezone=spec.timeline.timezone,
        horizon=spec.horizon,
        input_size=spec.input_size,
        quantiles=list(spec.quantiles),
        holidays=spec.holidays.place if spec.holidays else None,
        hist_exog=list(spec.hist_exog),
        futr_exog=list(spec.futr_exog),
        stat_exog=list(spec.stat_exog),
        categories={name: list(known) for name, known in spec.categories.items()},
        parameters=manifest.parameters,
        created=manifest.created,
        digest=manifest.data.digest,
        **_scores(manifest),
    )


def _scores(manifest: Manifest) -> dict[str, Any]:
    scores = manifest.scores
    if scores is None:
        return {"scores": {}, "baselines": {}}
    baselines = {name: _overall(standing) for name, standing in scores.baselines.items()}
    return {"scores": _overall(scores.forecaster), "baselines": baselines}


def _overall(standing: Standing) -> Metrics:
    return {name: score.overall for name, score in standing.metrics.items()}


def _version(facts: VersionFacts, serving: str | None) -> RegisteredVersion:
    tags = facts.tags
    parameters = tags.get(PARAMETERS_TAG, "")
    return RegisteredVersion(
        version=facts.version,
        aliases=list(facts.aliases),
        created=_time(facts.created),
        serving=facts.version == serving,
        cell=tags.get(CELL_TAG),
        parameters=int(parameters) if parameters.isascii() and parameters.isdecimal() else None,
        digest=tags.get(DIGEST_TAG),
        scores=_parsed(_METRICS, tags.get(SCORES_TAG)),
        baselines=_parsed(_BASELINES, tags.get(BASELINES_TAG)),
    )


def _parsed(adapter: TypeAdapter[Any], text: str | None) -> Any:
    """A tag that anyone may have edited, or None if it is not what it should be."""
    if text is None:
        return None
    try:
        return adapter.validate_python(json.loads(text, parse_constant=_refuse), strict=True)
    except (ValidationError, ValueError, RecursionError):
        return None


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _time(milliseconds: int) -> str:
    seconds = min(max(milliseconds // 1000, 0), 4_102_444_800)  # the year 2100
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
