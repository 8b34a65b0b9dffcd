"""Whether the service lives, whether it is ready, and what it is."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import Literal

import torch
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from service.parts import Parts, PartsOf
from service.slots import Slot

router = APIRouter(tags=["operations"])

State = Literal["serving", "loading", "failed"]


class Alive(BaseModel):
    """The event loop runs."""

    status: Literal["alive"] = "alive"


class TaskState(BaseModel):
    """A task: the version that answers, and why a newer one does not."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    state: State
    version: str | None
    last_error: str | None
    from_disk: bool
    """Whether it is what served last, which no registry has confirmed since the service began."""


class Readiness(BaseModel):
    """Whether to send requests here."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    ready: bool
    reason: str | None
    registry: str
    """`ok`, `not answered yet`, or why the last look at it failed. What is loaded serves on."""
    tasks: dict[str, TaskState]


class Version(BaseModel):
    """What runs."""

    gatecast: str
    python: str
    torch: str
    mlflow: str


@router.get("/livez", summary="Alive")
async def livez() -> Alive:
    """200 as long as the process answers."""
    return Alive()


@router.get("/readyz", summary="Ready", responses={503: {"model": Readiness}})
async def readyz(parts: PartsOf, response: Response) -> Readiness:
    """200 when there is something to serve and nothing that is wanted is missing, else 503.

    Wanted are the tasks of `GATECAST_TASKS`. Where none are set, every task of the registry has
    been tried and at least one serves: one bad version must not take away the others. A registry
    that is down makes nothing unready that is loaded.
    """
    readiness = _readiness(parts)
    response.status_code = 200 if readiness.ready else 503
    return readiness


@router.get("/version", summary="Versions of the software")
async def version() -> Version:
    """What runs here."""
    return Version(
        gatecast=_installed("gatecast"),
        python=platform.python_version(),
        torch=torch.__version__,
        mlflow=_installed("mlflow"),
    )


def state(slot: Slot) -> State:
    """A slot in one word."""
    if slot.champion is not None:
        return "serving"
    return "failed" if slot.last_error else "loading"


def _readiness(parts: Parts) -> Readiness:
    slots = list(parts.slots)
    watch = parts.watch
    missing = [
        task
        for task in parts.settings.tasks
        if (slot := parts.slots.get(task)) is None or slot.champion is None
    ]
    reason = None
    if not watch.looked and watch.registry_error:
        reason = "the registry does not answer, and nothing of what served last was kept"
    elif not watch.looked:
        reason = "the first look at the registry is under way"
    elif missing:
        reason = f"not loaded: {', '.join(missing[:8])}"
    elif not any(slot.champion for slot in slots):
        reason = "no model is loaded"
    return Readiness(
        ready=reason is None,
        reason=reason,
        registry=watch.registry_error or ("ok" if watch.answered else "not answered yet"),
        tasks={
            slot.task: TaskState(
                state=state(slot),
                version=slot.champion and slot.champion.version,
                last_error=slot.last_error,
                from_disk=slot.from_disk,
            )
            for slot in slots
        },
    )


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
