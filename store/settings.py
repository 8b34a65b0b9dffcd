"""One frozen settings object a process, read from the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from store.conventions import TaskName
from store.secret_files import SUFFIX, SecretFiles

MASK = "**********"
FROM_FILES = {
    "database_url": "GATECAST_DATABASE_URL",
    "operations_token": "GATECAST_OPERATIONS_TOKEN",
    "tracking_uri": "MLFLOW_TRACKING_URI",
    "registry_uri": "MLFLOW_REGISTRY_URI",
}
"""Settings that may hold a password, with their variables: each is also read from a file."""
_SECRET_WORDS = ("password", "passwd", "secret", "token", "key", "sig", "credential")


def _split(value: object) -> object:
    """Comma-separated text as a tuple; anything else is left for validation to judge."""
    if isinstance(value, str):
        return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
    return value


def _absolute(value: object) -> object:
    if isinstance(value, str | Path):
        return Path(value).expanduser().absolute()
    return value


def _embedded(data: dict[str, Any]) -> str:
    return f"sqlite:///{data['var']}/mlflow.db"


Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Everything that an operator may set; `public()` is what may be shown to people.

    Each field is read from the environment variable of its name with the prefix `GATECAST_`;
    `tracking_uri` and `registry_uri` from MLflow's own `MLFLOW_TRACKING_URI` and
    `MLFLOW_REGISTRY_URI`. Those of `FROM_FILES` may instead be in a file, which the variable with
    `_FILE` behind its name tells. Raises pydantic's `ValidationError`, which names the field and
    does not echo the value.
    """

    model_config = SettingsConfigDict(
        env_prefix="GATECAST_",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    var: Annotated[Path, BeforeValidator(_absolute)] = Field(
        default=Path("var"), validate_default=True
    )
    """Folder in which the embedded default keeps everything; made absolute on reading."""
    database_url: SecretStr | None = None
    """SQLAlchemy URL of the store; SQLite under `var` when unset."""
    tracking_uri: str = Field(default_factory=_embedded, validation_alias="MLFLOW_TRACKING_URI")
    """MLflow's tracking server or database; SQLite under `var` when unset."""
    registry_uri: str = Field(
        default_factory=lambda data: data["tracking_uri"], validation_alias="MLFLOW_REGISTRY_URI"
    )
    """MLflow's model registry; the tracking server when unset."""
    artifact_sources: Words = ()
    """URI prefixes that bundles may be fetched from, beside the registry's own artifact proxy and,
    for a registry in a local database, local files. Example: `s3://models/gatecast`."""
    tasks: Annotated[tuple[TaskName, ...], NoDecode, BeforeValidator(_split)] = ()
    """Tasks to serve; every task of the registry that has a champion when empty."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    """Port to listen on; 0 takes a free one."""
    trusted_hosts: Words = ()
    """Values that the Host header may have (`*.example.org` covers subdomains); any when empty."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe event that is logged."""

    poll_seconds: Seconds = 5.0
    """Pause between two looks at the registry's aliases, give or take a fifth."""
    registry_seconds: Seconds = 5.0
    """Deadline of one registry call."""
    download_seconds: Seconds = 120.0
    """Deadline of fetching one bundle."""
    max_bundle_bytes: Count = 512 * 2**20
    """Largest bundle that is fetched or read."""
    kept_versions: Count = 4
    """Versions beside the champions that stay loaded after requests named them."""

    operations_token: SecretStr | None = None
    """What promoting, rolling back, retraining and scheduling over HTTP need as bearer token; they
    are open to every client when unset."""

    max_body_bytes: Count = 32 * 2**20
    """Largest request body."""
    max_series: Count = 2_000
    """Series a request may hold."""
    max_points: Count = 50_000
    """Steps a series may span, missing steps between two stamps included."""
    max_total_points: Count = 2_000_000
    """Steps that the series of one request may span together."""
    max_forecast_numbers: Count = 4_000_000
    """Numbers that the answer to one request may hold: series x steps x quantiles."""
    max_observations: Count = 100_000
    """Observations that one request for many streams may hold."""
    max_queued_points: Count = 8_000_000
    """Steps that may wait for the forecasters; beyond it requests are turned away with a 503."""
    max_requests: Count = 512
    """Requests that may be in work at once; beyond it they are turned away with a 503."""
    max_connections: Count = 2_048
    """Connections that may be open at once."""
    header_seconds: Seconds = 10.0
    """Deadline for the whole head of a request, from its first byte or the connection's start."""
    body_seconds: Seconds = 30.0
    """Deadline for the whole body of a request."""
    request_seconds: Seconds = 30.0
    """Deadline of the work that a request causes, once its body has been read."""
    keep_alive_seconds: Seconds = 15.0
    """How long a connection may be silent between two requests."""
    drain_seconds: Seconds = 20.0
    """How long a stopping service waits for requests in flight."""

    resident_streams: Count = 100_000
    """Streams whose states stay in memory; those longest unused beyond it are on disk only."""
    shadow_streams: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Streams a task whose forecasts the challenger makes too, to be scored beside the champion."""
    max_queued_observations: Count = 100_000
    """Observations that may wait for the log; beyond it requests are turned away with a 503."""

    forecast_threads: Annotated[int, Field(ge=0, le=256)] = 0
    """Batches that are computed at once, each on one processor; 0 is one for each that there is."""
    batch_points: Count = 32_768
    """Steps that run through a forecaster in one batch, padding included."""

    gate_margin: Annotated[float, Field(ge=0, lt=1)] = 0.005
    """Least share of the champion's MASE that a version must have less of to replace it."""
    gate_alpha: Annotated[float, Field(gt=0, le=0.5)] = 0.002
    """Level, one-sided, at which less error than the champion's must be significant."""
    gate_step_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 50.0
    """Milliseconds that one observation and the forecast after it may take."""
    gate_batch_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5_000.0
    """Milliseconds that forecasts of 64 series from their histories may take."""
    gate_bundle_bytes: Count = 128 * 2**20
    """Largest bundle that may become champion."""
    lease_seconds: Seconds = 120.0
    """How long a run belongs to a process that is silent; it should speak every five seconds."""
    run_attempts: Count = 3
    """How often a run is begun at most, where its process is killed or meets an outage."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given in code, then the environment, then files that it names."""
        return init_settings, env_settings, SecretFiles(settings_cls, FROM_FILES)

    @property
    def artifacts(self) -> Path:
        """Where the embedded registry keeps logged models."""
        return self.var / "mlartifacts"

    @property
    def bundles(self) -> Path:
        """Where the service keeps the bundles that it fetched: `{task}/{version}`."""
        return self.var / "bundles"

    @property
    def store_url(self) -> str:
        """SQLAlchemy URL of the store."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.var}/gatecast.db"

    def environment(self) -> dict[str, str]:
        """This process's environment, changed so that another process has these settings.

        Passwords are in it.
        """
        names = {
            name: str(field.validation_alias or f"GATECAST_{name.upper()}")
            for name, field in type(self).model_fields.items()
        }
        ours = {*names.values(), *(variable + SUFFIX for variable in names.values())}
        found = {name: value for name, value in os.environ.items() if name not in ours}
        for name, variable in names.items():
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                found[variable] = value.get_secret_value()
            elif isinstance(value, tuple):
                found[variable] = ",".join(map(str, value))
            elif value is not None:
                found[variable] = str(value)
        return found

    def public(self) -> dict[str, Any]:
        """Every setting as JSON-ready values: secrets masked, passwords in URLs masked."""
        return {name: _shown(getattr(self, name)) for name in type(self).model_fields}

    def __repr_args__(self) -> list[tuple[str | None, Any]]:
        return list(self.public().items())


def _shown(value: object) -> Any:
    if isinstance(value, SecretStr):
        return masked(value.get_secret_value())
    if isinstance(value, tuple):
        return [_shown(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return masked(value) if isinstance(value, str) else value


def masked(text: str) -> str:
    """`text` with the password of a URL, and query values named like secrets, replaced by stars.

    Text with an `@` that is no URL is replaced as a whole, and so is a lone user of an http URL,
    which is how tokens are passed.
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        return MASK if "@" in text else text
    place, question, query = rest.partition("?")
    netloc, slash, path = place.partition("/")
    if "@" in path:  # an unquoted "/" in a password ends the host early
        return MASK
    credentials, at, host = netloc.rpartition("@")
    if at and ":" in credentials:
        credentials = f"{credentials.partition(':')[0]}:{MASK}"
    elif at and scheme.lower() in ("http", "https"):
        credentials = MASK
    query = "&".join(_masked_pair(pair) for pair in query.split("&"))
    return f"{scheme}://{credentials}{at}{host}{slash}{path}{question}{query}"


def _masked_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    secret = equals and any(word in name.lower() for word in _SECRET_WORDS)
    return f"{name}={MASK}" if secret else pair
