"""The bundles that the service has fetched, on disk, so that it starts without a registry too.

    {var}/bundles/{task}/{version}/bundle/      what the registry held (`models.bundle`)
    {var}/bundles/{task}/{version}/source       which of the registry's things it was made from
    {var}/bundles/{task}/champion               the version that served last

A folder comes into being whole, by one rename, after its bundle has been read and verified, and is
verified again at every reading.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog
import torch

from models.bundle import BundleError, read_bundle
from service.registry import Registry, RegistryDownError
from service.slots import Loaded
from store.conventions import task_name, version_name

_BUNDLE, _SOURCE, _CHAMPION = "bundle", "source", "champion"
_DRAFT = ".draft-"
_SOURCE_BYTES = 4096

log = structlog.get_logger()


class DiskError(Exception):
    """The disk does not take a bundle; `reason` may be shown to people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Bundles:
    """Verified versions, from disk if it has them, else from the registry."""

    def __init__(self, folder: Path, registry: Registry, *, max_bytes: int, kept: int) -> None:
        self._folder = folder
        self._registry = registry
        self._max_bytes = max_bytes
        self._kept = kept
        self._reader = ThreadPoolExecutor(1, "bundles", _one_torch_thread)

    async def load(self, task: str, version: str, source: str | None) -> Loaded:
        """A version, read and verified; `source` None takes whatever the disk has.

        Raises BundleError if what the registry has is no bundle, RegistryError if it cannot be had,
        DiskError if it cannot be kept.
        """
        loop = asyncio.get_running_loop()
        try:
            kept = await loop.run_in_executor(self._reader, self._from_disk, task, version, source)
            return kept or await self._from_registry(task, version, source)
        except OSError as error:
            raise DiskError(f"the service's disk: {error.strerror}") from error

    async def remembered(self, task: str) -> Loaded | None:
        """The version of a task that served last, if the disk still has it whole."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader, self._last_champion, task)

    async def remember(self, loaded: Loaded) -> None:
        """Note that a version serves, and drop versions that have not been used for long."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._reader, self._note_champion, loaded)

    def tasks(self) -> list[str]:
        """The tasks that have ever been served from this disk."""
        return sorted(_names(self._folder, task_name, having=_CHAMPION))

    async def close(self) -> None:
        """Wait for the reading that is under way."""
        await asyncio.to_thread(self._reader.shutdown, cancel_futures=True)

    async def _from_registry(self, task: str, version: str, source: str | None) -> Loaded:
        loop = asyncio.get_running_loop()
        draft = await loop.run_in_executor(self._reader, self._new_draft, task)
        try:
            facts = await self._registry.fetch(task, version, draft / _BUNDLE)
            if source is not None and facts.source != source:
                raise RegistryDownError("the version changed while it was fetched")
            return await loop.run_in_executor(
                self._reader, self._keep, draft, task, version, facts.source
            )
        finally:
            await loop.run_in_executor(self._reader, shutil.rmtree, draft, True)

    def _from_disk(self, task: str, version: str, source: str | None) -> Loaded | None:
        folder = self._place(task, version)
        made_from = _text(folder / _SOURCE)
        if made_from is None or source not in (None, made_from):
            return None
        try:
            loaded = self._read(folder / _BUNDLE, task, version, made_from)
        except BundleError as error:
            log.warning("kept bundle refused", task=task, version=version, reason=error.reason)
            shutil.rmtree(folder, ignore_errors=True)
            return None
        os.utime(folder)  # when it was used last
        return loaded

    def _keep(self, draft: Path, task: str, version: str, source: str) -> Loaded:
        loaded = self._read(draft / _BUNDLE, task, version, source)
        (draft / _SOURCE).write_text(source, "utf-8")
        place = self._place(task, version)
        shutil.rmtree(place, ignore_errors=True)
        try:
            draft.rename(place)
        except OSError as error:  # another replica on this disk was faster, or the disk is full
            log.warning("bundle not kept", task=task, version=version, reason=str(error.strerror))
        return loaded

    def _read(self, folder: Path, task: str, version: str, source: str) -> Loaded:
        # Reading makes the golden forecast, which also warms the forecaster.
        try:
            forecaster, manifest = read_bundle(folder, max_bytes=self._max_bytes)
        except BundleError as error:  # the reason is shown to people, the disk's layout is not
            raise BundleError(error.reason.replace(str(folder), "bundle")[:300]) from error
        return Loaded(task, version, source, forecaster, manifest)

    def _last_champion(self, task: str) -> Loaded | None:
        version, _, source = (_text(self._folder / task / _CHAMPION) or "").partition("\n")
        try:
            return self._from_disk(task, version_name(version), source)
        except ValueError:
            return None

    def _note_champion(self, loaded: Loaded) -> None:
        folder = self._folder / loaded.task
        try:
            folder.mkdir(parents=True, exist_ok=True)
            draft = folder / f"{_DRAFT}{os.getpid()}"
            draft.write_text(f"{loaded.version}\n{loaded.source}", "utf-8")
            draft.replace(folder / _CHAMPION)
            self._prune(folder, loaded.version)
        except OSError as error:  # what serves goes on serving
            log.warning("champion not noted", task=loaded.task, reason=str(error.strerror))

    def _prune(self, folder: Path, serving: str) -> None:
        places = [folder / name for name in _names(folder, version_name, having=_SOURCE)]
        places.sort(key=lambda place: place.stat().st_mtime)
        for place in places[: -self._kept]:
            if place.name != serving:
                shutil.rmtree(place, ignore_errors=True)

    def _new_draft(self, task: str) -> Path:
        folder = self._folder / task_name(task)
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=folder))
        (draft / _BUNDLE).mkdir()
        return draft

    def _place(self, task: str, version: str) -> Path:
        return self._folder / task_name(task) / version_name(version)


def _one_torch_thread() -> None:
    """The golden forecast must not take every processor from what is in service."""
    torch.set_num_threads(1)


def _names(folder: Path, check: Callable[[str], str], *, having: str) -> Iterator[str]:
    """Names of subfolders that pass a check and hold a file."""
    if not folder.is_dir():
        return
    for place in folder.iterdir():
        try:
            check(place.name)
        except ValueError:
            continue
        if (place / having).is_file():
            yield place.name


def _text(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            return opened.read(_SOURCE_BYTES).decode("utf-8")
    except (OSError, ValueError):
        return None
