"""What is to run: a command, what it is told, and how it says that it is ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Program:
    """A process that is meant to run until it is stopped.

    health: what is asked (`processes.health`) before what comes after it may start; None for
    nothing. environment: beside our own. user: as whom it runs, ourselves if None.
    """

    name: str
    command: tuple[str, ...]
    health: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
