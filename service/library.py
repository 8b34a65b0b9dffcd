"""The version that a request means: the champion, or another by number or alias, then loaded."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from models.bundle import BundleError
from service.bundles import Bundles, DiskError
from service.problems import ProblemError, busy, problem, unknown
from service.registry import (
    Registry,
    RegistryDownError,
    VersionMissingError,
    VersionRefusedError,
)
from service.slots import Loaded, Slot, Slots
from store.conventions import CHAMPION

_MOST_LOADING = 4
_UNUSABLE_SECONDS = 60.0
"""How long a version that could not be read is not fetched again."""

_Key = tuple[str, str]


class Library:
    """Finds the version that a request means. At most `kept` beside the champions stay loaded."""

    def __init__(self, slots: Slots, bundles: Bundles, registry: Registry, *, kept: int) -> None:
        self._slots = slots
        self._bundles = bundles
        self._registry = registry
        self._kept = kept
        self._versions: OrderedDict[_Key, Loaded] = OrderedDict()
        self._loading: dict[_Key, asyncio.Task[Loaded]] = {}
        self._unusable: dict[_Key, tuple[float, str]] = {}

    async def find(
        self, task: str, *, version: str | None = None, alias: str | None = None
    ) -> Loaded:
        """The version meant, loading it if need be.

        Raises 404 for a task, version or alias that is not there, 409 for a version that is there
        but cannot serve, 503 if it cannot be had now.
        """
        slot = self.slot(task)
        if version is None and alias not in (None, CHAMPION):
            version = slot.aliases.get(alias or CHAMPION)
            if version is None:
                raise unknown("version", "alias", "the model has no version with this alias")
        if version is None or (slot.champion is not None and version == slot.champion.version):
            if slot.champion is None:
                raise unavailable(slot)
            return slot.champion
        return await self._named((task, version))

    def slot(self, task: str) -> Slot:
        """The slot of a task; raises 404 if there is none, 503 before that can be known."""
        slot = self._slots.get(task)
        if slot is None and not self._slots.complete:  # who comes again after a restart is early
            raise unavailable(Slot(task))
        if slot is None:
            raise unknown("model", "model", "no such model is served here")
        return slot

    async def close(self) -> None:
        """Give up what is being loaded."""
        for task in self._loading.values():
            task.cancel()
        await asyncio.gather(*self._loading.values(), return_exceptions=True)

    async def _named(self, key: _Key) -> Loaded:
        if key in self._versions:
            self._versions.move_to_end(key)
            return self._versions[key]
        until, reason = self._unusable.get(key, (0.0, ""))
        if time.monotonic() < until:
            raise problem(409, "unusable-version", reason)
        if key not in self._loading:
            if len(self._loading) >= _MOST_LOADING:
                raise busy("too many versions are being loaded")
            loading = asyncio.create_task(self._load(key))
            self._loading[key] = loading
            loading.add_done_callback(lambda done: self._loaded(key, done))
        # One requester's cancellation is not the others': the loading goes on.
        return await asyncio.shield(self._loading[key])

    def _loaded(self, key: _Key, done: asyncio.Task[Loaded]) -> None:
        del self._loading[key]
        if not done.cancelled():
            done.exception()  # seen, even if every requester has gone

    async def _load(self, key: _Key) -> Loaded:
        task, version = key
        try:
            source: str | None = (await self._registry.version(task, version)).source
        except RegistryDownError:
            source = None
        except VersionMissingError:
            raise unknown("version", "version", "the model has no such version") from None
        try:
            loaded = await self._bundles.load(task, version, source)
        except (BundleError, VersionRefusedError) as error:
            self._unusable[key] = time.monotonic() + _UNUSABLE_SECONDS, error.reason[:300]
            raise problem(409, "unusable-version", error.reason[:300]) from None
        except VersionMissingError:
            raise unknown("version", "version", "the model has no such version") from None
        except DiskError as error:
            raise busy(error.reason, seconds=5) from None
        except RegistryDownError:
            raise problem(
                503,
                "registry-unavailable",
                "the version is not loaded, and the registry does not answer",
                headers={"retry-after": "5"},
            ) from None
        self._versions[key] = loaded
        while len(self._versions) > self._kept:
            self._versions.popitem(last=False)
        return loaded


def unavailable(slot: Slot) -> ProblemError:
    """503 for a task whose champion is not loaded."""
    reason = slot.last_error or "the model is being loaded"
    return problem(503, "model-unavailable", reason, headers={"retry-after": "5"})
