"""A registry that does what a test says, where MLflow's would need to be broken to order."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from service.registry import (
    Registry,
    RegistryError,
    TaskFacts,
    VersionFacts,
    VersionMissingError,
)
from store.settings import Settings


class Shelf(Registry):
    """A registry whose versions are folders, and which counts how often each was fetched."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Settings(var=folder / "unused"))
        self.folder = folder
        self.fetched: list[str] = []
        self.down: RegistryError | None = None
        self.held: asyncio.Event | None = None
        self.source = "made from {version}"
        self.champions: dict[str, str] = {}

    async def tasks(self, names: Sequence[str] = ()) -> list[TaskFacts]:
        if self.held is not None:
            await self.held.wait()
        if self.down is not None:
            raise self.down
        return [
            TaskFacts(
                task=task,
                aliases={"champion": version},
                champion=await self.version(task, version),
            )
            for task, version in sorted(self.champions.items())
            if not names or task in names
        ]

    async def version(self, task: str, version: str) -> VersionFacts:
        if self.down is not None:
            raise self.down
        if not (self.folder / version).exists():
            raise VersionMissingError("missing")
        source = self.source.format(version=version)
        return VersionFacts(version=version, source=source, created=0, tags={})

    async def fetch(self, task: str, version: str, into: Path) -> VersionFacts:
        facts = await self.version(task, version)
        self.fetched.append(version)
        await asyncio.sleep(0.05)
        shutil.copytree(self.folder / version, into, dirs_exist_ok=True)
        return facts
