"""Where MLflow keeps runs and versions, and how we speak to it: by an explicit client, quietly."""

from __future__ import annotations

import importlib
import logging
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from store.settings import Settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

_REMOTE = ("http://", "https://", "databricks")

# What MLflow only reads from the environment. `setdefault`: whoever set one meant it.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # a self-hosted service reports to nobody
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",  # 7 times 120 s by default: minutes of silence
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # else a uv.lock in the working folder is logged as the model's own environment
    "MLFLOW_UV_AUTO_DETECT": "false",
}


class RegistryError(Exception):
    """The registry cannot take or give what was asked; `reason` is for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotThereError(RegistryError):
    """No such task, version or alias."""


@dataclass(frozen=True, slots=True)
class Registry:
    """The two URIs of MLflow, and where artifacts go: None leaves that to the server."""

    tracking_uri: str
    registry_uri: str
    artifact_root: Path | None

    @classmethod
    def embedded(cls, var: Path) -> Self:
        """SQLite and a folder of artifacts under `var`; no server."""
        uri = f"sqlite:///{var.absolute()}/mlflow.db"
        return cls(uri, uri, var.absolute() / "mlartifacts")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The registry that the settings name: a server if it is one, else the embedded one."""
        remote = settings.tracking_uri.startswith(_REMOTE)
        root = None if remote else settings.artifacts
        return cls(settings.tracking_uri, settings.registry_uri, root)


def quiet_mlflow() -> Any:
    """The module `mlflow`, imported now (it takes a second) and told to be silent.

    MLflow has settings that no client can be given: this sets defaults in the process's
    environment, the level of two loggers and a filter of the warnings that MLflow's own code
    causes (its database models use what SQLAlchemy 2.1 deprecates), nothing else that is global.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    warnings.filterwarnings("ignore", module="mlflow")
    mlflow = importlib.import_module("mlflow")  # sets the levels of its own loggers
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return mlflow


def open_client(registry: Registry) -> MlflowClient:
    """A client of `registry`; the folder of an embedded one is made if need be."""
    mlflow = quiet_mlflow()
    for uri in (registry.tracking_uri, registry.registry_uri):
        if uri.startswith("sqlite:///"):
            Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    return mlflow.MlflowClient(
        tracking_uri=registry.tracking_uri, registry_uri=registry.registry_uri
    )
