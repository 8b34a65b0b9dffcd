"""What `gatecast up` runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from processes.program import Program
from store.settings import Settings

_OURS = (sys.executable, "-m", "gatecast")


def roster(settings: Settings, *, mlflow_port: int) -> tuple[Program, ...]:
    """The programs in the order in which they start: MLflow's server where none is configured, the
    service, the scheduler."""
    place = ("--host", settings.host, "--port", str(settings.port))
    ours = (
        Program("service", (*_OURS, "serve", *place), _url(settings.host, settings.port, "/livez")),
        Program("scheduler", (*_OURS, "scheduler")),
    )
    if "tracking_uri" in settings.model_fields_set:
        return ours
    return (_mlflow(settings, mlflow_port), *ours)


def _mlflow(settings: Settings, port: int) -> Program:
    """MLflow's pages and its API over the embedded registry.

    The service and the scheduler use the registry's files without it, as every command does. What
    is logged through it lies in the same folder under the same kind of address, so that both read
    what either has written.
    """
    artifacts = settings.artifacts
    artifacts.mkdir(parents=True, exist_ok=True)
    scripts = Path(sys.executable).parent  # where mlflow looks for uvicorn
    command = (
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", settings.tracking_uri),
        *("--serve-artifacts", "--artifacts-destination", str(artifacts)),
        *("--default-artifact-root", artifacts.as_uri()),
    )
    environment = {
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # six more processes, for what nobody asks
    }
    return Program("mlflow", command, _url("127.0.0.1", port, "/health"), environment)


def _url(host: str, port: int, path: str) -> str:
    """Where a server that listens on `host` is reached from here."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared only
    return f"http://{reached}:{port}{path}"
