"""The model registry as the service sees it: four questions, each with a deadline.

RegistryError               asked for nothing that could be had
├── RegistryDownError            not reachable, too slow, or it talks nonsense: ask again later
├── VersionMissingError          it has no such task or version
└── VersionRefusedError          what it has may not or cannot be fetched
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from store.conventions import TaskName, VersionName
from store.settings import Settings

_START_SECONDS = 60.0  # importing MLflow takes 2 s, or many times that on a machine at its limit
_CROWD = 8
_LINE_BYTES = 64 * 2**20
_FROZEN = ConfigDict(frozen=True, extra="forbid", strict=True)
T = TypeVar("T")

# `-P` and `append`: a folder called `service` or `store` where the operator stands is not ours.
_PROGRAM = (
    f"import sys; sys.path.append({str(Path(__file__).parent.parent)!r});"
    " from service.registry_process import main; main()"
)
_Text = Annotated[str, Field(max_length=5000)]


class RegistryError(Exception):
    """`reason` may be shown to people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RegistryDownError(RegistryError):
    """The registry gave no answer that makes sense."""


class VersionMissingError(RegistryError):
    """The registry answered that there is no such task or version."""


class VersionRefusedError(RegistryError):
    """The registry has the version, but no bundle of it that may be fetched."""


class VersionFacts(BaseModel):
    """A version. source: what the registry says it was made from; created: Unix milliseconds."""

    model_config = _FROZEN

    version: VersionName
    source: _Text
    created: int
    tags: dict[_Text, _Text]
    aliases: tuple[_Text, ...] = ()


class TaskFacts(BaseModel):
    """A task: alias to version, and what the version is that `champion` names."""

    model_config = _FROZEN

    task: TaskName
    aliases: dict[_Text, VersionName]
    champion: VersionFacts | None


_TASKS = TypeAdapter(list[TaskFacts])
_VERSIONS = TypeAdapter(list[VersionFacts])
_FACTS = TypeAdapter(VersionFacts)
_ERRORS = {"missing": VersionMissingError, "refused": VersionRefusedError}


class Registry:
    """MLflow, asked by a process of its own (`service.registry_process`).

    Any number of questions may be under way. A process that lets a deadline pass is ended, and the
    next question starts another.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    async def tasks(self, names: Sequence[str] = ()) -> list[TaskFacts]:
        """The tasks of these names that exist, or all that carry our tag. Raises RegistryError."""
        seconds = self._settings.registry_seconds
        return _checked(_TASKS, await self._ask("tasks", seconds, names=list(names)))

    async def versions(self, task: str) -> list[VersionFacts]:
        """All versions of a task, newest first. Raises RegistryError."""
        self._check_crowd()
        seconds = self._settings.registry_seconds
        return _checked(_VERSIONS, await self._ask("versions", seconds, task=task))

    async def version(self, task: str, version: str) -> VersionFacts:
        """What a version is. Raises RegistryError."""
        self._check_crowd()
        seconds = self._settings.registry_seconds
        return _checked(_FACTS, await self._ask("version", seconds, task=task, version=version))

    async def fetch(self, task: str, version: str, into: Path) -> VersionFacts:
        """Copy the bundle of a version into an empty folder. Raises RegistryError."""
        seconds = self._settings.download_seconds
        answer = await self._ask("fetch", seconds, task=task, version=version, into=str(into))
        return _checked(_FACTS, answer)

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if self._reader is not None:
            if process is not None:
                _end(process)
            await self._reader

    def _check_crowd(self) -> None:
        """Questions that clients cause must not make those of the watch wait."""
        if len(self._waiting) >= _CROWD:
            raise RegistryDownError("too many questions at once")

    async def _ask(self, call: str, seconds: float, **arguments: Any) -> Any:
        try:
            process = await self._started()
        except (OSError, TimeoutError) as error:
            raise RegistryDownError(
                f"MLflow's client did not start ({type(error).__name__})"
            ) from error
        number = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            _pipes(process)[0].write(
                orjson.dumps({"id": number, "call": call, **arguments}) + b"\n"
            )
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            _end(process)
            raise RegistryDownError(f"no answer within {seconds:g} s") from None
        except OSError as error:
            raise RegistryDownError("MLflow's client ended") from error
        finally:
            self._waiting.pop(number, None)

    async def _started(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                if self._reader is not None:
                    await self._reader
                self._process = await self._start()
            return self._process

    async def _start(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-c", _PROGRAM),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(self._settings),
            limit=_LINE_BYTES,
        )
        requests, answers = _pipes(process)
        requests.write(orjson.dumps(_task_of(self._settings)) + b"\n")
        ready = b""
        try:
            ready = await asyncio.wait_for(answers.readline(), _START_SECONDS)
        finally:
            if not ready:
                await _ended(process)
        if not ready:
            raise RegistryDownError("MLflow's client did not start")
        self._reader = asyncio.create_task(self._read(process, answers))
        return process

    async def _read(
        self, process: asyncio.subprocess.Process, answers: asyncio.StreamReader
    ) -> None:
        try:
            while line := await answers.readline():
                self._settle(orjson.loads(line))
        except ValueError:  # a line that is too long
            pass
        finally:
            await _ended(process)
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(RegistryDownError("MLflow's client ended"))

    def _settle(self, answer: Mapping[str, Any]) -> None:
        future = self._waiting.get(answer["id"])
        if future is None or future.done():
            return
        if "error" in answer:
            error = answer["error"]
            future.set_exception(_ERRORS.get(error["kind"], RegistryDownError)(error["reason"]))
        else:
            future.set_result(answer["value"])


def _checked(adapter: TypeAdapter[T], answer: Any) -> T:
    try:
        return adapter.validate_json(orjson.dumps(answer))
    except ValidationError:
        raise RegistryDownError("the registry's answer makes no sense") from None


def _task_of(settings: Settings) -> dict[str, Any]:
    artifacts = settings.artifacts
    return {
        "tracking_uri": settings.tracking_uri,
        "registry_uri": settings.registry_uri,
        "artifact_sources": [*settings.artifact_sources, str(artifacts), artifacts.as_uri()],
        "max_bundle_bytes": settings.max_bundle_bytes,
    }


def _environment(settings: Settings) -> dict[str, str]:
    """The process's environment: short deadlines, no second try, and nothing that runs code."""
    seconds = max(1, int(settings.registry_seconds * 0.8))
    return os.environ | {
        "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",
        "MLFLOW_ALLOW_MODEL_CODE_EXECUTION": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds),
        "MLFLOW_REGISTRY_URI": settings.registry_uri,
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
    }


def _pipes(
    process: asyncio.subprocess.Process,
) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    if process.stdin is None or process.stdout is None:
        raise RegistryDownError("MLflow's client has no pipes")
    return process.stdin, process.stdout


def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End a process and see its pipes closed, so that nothing of it outlives the event loop."""
    _end(process)
    requests, answers = _pipes(process)
    requests.close()
    with contextlib.suppress(ValueError):  # a line that is too long
        await answers.read()
    await process.wait()
