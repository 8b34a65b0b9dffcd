"""MLflow's client in a process of its own: requests in, answers out, a line of JSON each.

A process can be ended when a registry sends a byte a minute for ever, which a thread cannot; its
environment can forbid what this service never wants from MLflow, without forbidding it to others;
and its 200 MB and two seconds of imports stay out of the way of forecasts. `service.registry` is
the other side.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from store import conventions

_MAX_TASKS = 1_000
_MAX_VERSIONS = 1_000
_MAX_FILES = 16
_PAGE = 100
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class RefusedError(Exception):
    """What the registry holds is not what this service reads."""


def main() -> None:
    """Answer the lines of standard input until it ends, which it does when the service does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which then ends us
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that a library prints may be taken for an answer
    settings = json.loads(sys.stdin.buffer.readline())
    size = settings["max_bundle_bytes"]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    logging.disable(logging.CRITICAL)
    catalogue = Catalogue(settings)
    catalogue.open()
    serve(catalogue, sys.stdin.buffer, answers)
    os._exit(0)  # calls that still wait for the registry are not waited for


def serve(catalogue: Catalogue, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer every line of `requests`, several at once, in whatever order they are done."""
    lock = threading.Lock()

    def answer(line: bytes) -> None:
        request = json.loads(line)
        reply: dict[str, Any] = {"id": request.pop("id")}
        try:
            reply["value"] = catalogue.call(request.pop("call"), request)
        except Exception as error:  # noqa: BLE001 - whatever a registry makes MLflow raise is an answer
            reply["error"] = _error(error)
        with lock:
            answers.write(json.dumps(reply).encode() + b"\n")
            answers.flush()

    with lock:
        answers.write(b'{"id": 0, "value": null}\n')
        answers.flush()
    pool = ThreadPoolExecutor(4)
    for line in requests:
        pool.submit(answer, line)


class Catalogue:
    """The registry's tasks, versions and bundles, as plain values."""

    def __init__(self, settings: dict[str, Any]) -> None:
        # slow to import, and this module is imported by tests too
        from mlflow.store.artifact import artifact_repository_registry  # noqa: PLC0415

        self._tracking_uri: str = settings["tracking_uri"]
        self._registry_uri: str = settings["registry_uri"]
        self._sources: list[str] = settings["artifact_sources"]
        self._max_bytes: int = settings["max_bundle_bytes"]
        self._repository: Callable[..., Any] = artifact_repository_registry.get_artifact_repository
        self._client: Any = None
        self._opening = threading.Lock()

    def open(self) -> None:
        """Take the second that a database file needs, so that no question's deadline pays it."""
        if self._exists() and self._registry_uri.startswith("sqlite:"):
            with contextlib.suppress(Exception):  # the first question will say what is wrong
                self._open().search_registered_models(max_results=1)

    def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """The answer to one request."""
        calls: dict[str, Callable[..., Any]] = {
            "tasks": self.tasks,
            "versions": self.versions,
            "version": self.version,
            "fetch": self.fetch,
        }
        return calls[name](**arguments)

    def tasks(self, names: list[str]) -> list[dict[str, Any]]:
        """Tasks by name, or all that carry the tag: their aliases and what the champion is."""
        if not self._exists():
            return []
        found = map(self._model, names) if names else self._tagged()
        models = [model for model in found if model is not None]
        return [self._task(model) for model in models if _matches(_TASK, model.name)]

    def versions(self, task: str) -> list[dict[str, Any]]:
        """All versions of a task, newest first; at most 1,000."""
        name = conventions.task_name(task)
        aliases: dict[str, Any] = dict(self._open().get_registered_model(name).aliases)
        query = {"filter_string": f"name = '{name}'", "order_by": ["version_number DESC"]}
        pages = self._pages(self._open().search_model_versions, _MAX_VERSIONS, **query)
        return [
            _facts(version)
            | {"aliases": sorted(a for a, v in aliases.items() if str(v) == str(version.version))}
            for version in pages
        ]

    def version(self, task: str, version: str) -> dict[str, Any]:
        """What a version is."""
        name, number = conventions.task_name(task), conventions.version_name(version)
        return _facts(self._open().get_model_version(name, number))

    def fetch(self, task: str, version: str, into: str) -> dict[str, Any]:
        """Copy the bundle of a version, and nothing else of it, into a folder that exists."""
        facts = self.version(task, version)
        location = str(self._open().get_model_version_download_uri(task, version))
        if not allowed(location, self._sources, self._tracking_uri, self._registry_uri):
            raise RefusedError(
                "its artifacts lie outside the allowed sources (GATECAST_ARTIFACT_SOURCES)"
            )
        repository = self._repository(location, self._tracking_uri, self._registry_uri)
        files = [(str(info.path), info) for info in repository.list_artifacts(_FOLDER)]
        if not files:
            raise RefusedError("it holds no bundle")
        if (
            len(files) > _MAX_FILES
            or sum(int(i.file_size or 0) for _, i in files) > self._max_bytes
        ):
            raise RefusedError("its bundle is too large")
        for path, info in files:
            folder, _, file = path.rpartition("/")
            if info.is_dir or folder != _FOLDER or not _FILE_NAME.match(file):
                raise RefusedError("its bundle holds what no bundle holds")
            repository.download_artifacts(path, into)
        self._flatten(Path(into))
        return facts

    def _flatten(self, into: Path) -> None:
        nested = into / _FOLDER
        for file in sorted(nested.iterdir()):
            file.rename(into / file.name)
        for folder in (nested, *nested.parents):
            if folder == into:
                return
            folder.rmdir()

    def _task(self, model: Any) -> dict[str, Any]:
        aliases = {
            str(alias): str(version)
            for alias, version in dict(model.aliases).items()
            if _matches(_VERSION, str(version))
        }
        champion = aliases.get(conventions.CHAMPION)
        version = champion and self._open().get_model_version(model.name, champion)
        return {
            "task": model.name,
            "aliases": aliases,
            "champion": _facts(version) if version else None,
        }

    def _tagged(self) -> Iterator[Any]:
        tag = f"tags.`{conventions.TASK_TAG}` = '{conventions.TASK_TAG_VALUE}'"
        return self._pages(self._open().search_registered_models, _MAX_TASKS, filter_string=tag)

    def _model(self, name: str) -> Any:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - see __init__

        try:
            return self._open().get_registered_model(conventions.task_name(name))
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _pages(self, search: Callable[..., Any], most: int, **query: Any) -> Iterator[Any]:
        token = None
        for _ in range(most // _PAGE):
            page = search(max_results=_PAGE, page_token=token, **query)
            yield from page
            token = page.token
            if not token:
                return

    def _open(self) -> Any:
        from mlflow import MlflowClient  # noqa: PLC0415 - see __init__

        with self._opening:
            if self._client is None:
                self._client = MlflowClient(self._tracking_uri, self._registry_uri)
            return self._client

    def _exists(self) -> bool:
        """False for a database file that nobody made yet: MLflow would make one to look at it."""
        parts = urlsplit(self._registry_uri)
        file = unquote(parts.path)[1:]
        return parts.scheme != "sqlite" or not file or Path(file).exists()


def allowed(location: str, sources: list[str], tracking_uri: str, registry_uri: str) -> bool:
    """Whether bundles may be fetched from a location that the registry names.

    The registry's own artifact proxy may always be asked, local files if the registry is a database
    file on this machine, anything else if it lies below one of `sources`.
    """
    parts = urlsplit(location)
    if ".." in unquote(parts.path).split("/") or parts.query or parts.fragment:
        return False
    if any(f"{location}/".startswith(f"{source.rstrip('/')}/") for source in sources):
        return True
    if parts.scheme == "mlflow-artifacts":
        return not parts.netloc and tracking_uri.startswith(("http://", "https://"))
    return parts.scheme in ("", "file") and not parts.netloc and registry_uri.startswith("sqlite:")


_FOLDER = conventions.BUNDLE_FOLDER
_TASK, _VERSION = conventions.task_name, conventions.version_name


def _matches(check: Callable[[str], str], text: str) -> bool:
    try:
        check(text)
    except ValueError:
        return False
    return True


def _facts(version: Any) -> dict[str, Any]:
    return {
        "version": conventions.version_name(str(version.version)),
        "source": str(version.source)[:2048],
        "created": int(version.creation_timestamp),
        "tags": {
            str(name): str(value)[:5000]
            for name, value in dict(version.tags).items()
            if str(name).startswith("gatecast.")
        },
    }


def _error(error: Exception) -> dict[str, str]:
    """What may be shown of an error: MLflow's messages hold URLs, and URLs hold passwords."""
    if isinstance(error, RefusedError):
        return {"kind": "refused", "reason": str(error)}
    code = str(getattr(error, "error_code", ""))
    if code == "RESOURCE_DOES_NOT_EXIST":
        return {"kind": "missing", "reason": "the registry does not have it"}
    reason = f"{type(error).__name__}{f' ({code})' if code else ''}"
    return {"kind": "down", "reason": reason}
