"""Follows the registry: what `champion` names is fetched, verified, and then put in service.

Whatever goes wrong changes nothing that serves. A registry that gives no sensible answer is asked
again, less often; a version that cannot be used is tried again, less often; and at the start, what
served last is taken from disk, unless the registry answers at once.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from models.bundle import BundleError
from service.bundles import Bundles, DiskError
from service.registry import Registry, RegistryError, TaskFacts, VersionFacts
from service.slots import Loaded, Slot, Slots
from store.settings import Settings

_LONGEST_PAUSE = 60.0  # seconds
_JITTER = 0.2  # so that replicas do not ask in step
_PATIENCE = 3.0
"""Seconds that a start waits for the registry before it serves what served last: MLflow's client
takes two of them to start."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Failure:
    """A version that could not be used, how often it was tried and when it may be again."""

    version: str
    source: str
    times: int
    not_before: float


async def _nothing(_: Loaded) -> None:
    """What there is to prepare where there are no streams."""


class Watch:
    """Looks at the registry for ever.

    prepare: awaited with a version before it goes in service. looked: whether a look, with all the
    loading that it asked for, is over, or the registry did not answer and what served last has been
    put in service. answered: whether the registry gave
    a sensible answer when it was asked last. registry_error: why the last look failed, or None.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        bundles: Bundles,
        slots: Slots,
        prepare: Callable[[Loaded], Awaitable[None]] = _nothing,
    ) -> None:
        self._settings = settings
        self._prepare = prepare
        self._registry = registry
        self._bundles = bundles
        self._slots = slots
        self._failures: dict[str, _Failure] = {}
        self._failed_looks = 0
        self.looked = False
        self.answered = False
        self.registry_error: str | None = None

    async def run(self) -> None:
        """Look, pause, look again, until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # a fault of ours must not end the watch
                log.exception("watch failed")
                self._failed_looks += 1
            await asyncio.sleep(pause(self._settings.poll_seconds, self._failed_looks))

    async def look(self) -> None:
        """One look at all tasks. Changes no slot but those whose champion is another now."""
        try:
            tasks = await self._asked()
        except RegistryError as error:
            self._failed_looks += 1
            self.answered = False
            if self.registry_error != error.reason:
                log.warning("registry not reachable", reason=error.reason)
            self.registry_error = error.reason
            if not self.looked:
                await self._restore()
            return
        if self.registry_error is not None:
            log.info("registry reachable again")
        self._failed_looks = 0
        self.answered = True
        self.registry_error = None
        for task in tasks:
            try:
                await self._follow(task)
            except Exception:  # a fault of ours with one task must not keep the others waiting
                log.exception("task not followed", task=task.task)
        self._mark_missing({task.task for task in tasks if task.champion is not None})
        self._slots.complete = True
        self.looked = True

    async def _asked(self) -> list[TaskFacts]:
        """What the registry says. While a first answer lets itself be waited for, what served last
        serves. Raises RegistryError."""
        asking = asyncio.create_task(self._registry.tasks(self._settings.tasks))
        try:
            if not self.looked and not (await asyncio.wait({asking}, timeout=_PATIENCE))[0]:
                await self._restore()
            return await asking
        finally:  # whoever ends us next ends the registry's process
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _follow(self, facts: TaskFacts) -> None:
        champion = facts.champion
        slot = self._slots.get(facts.task) or Slot(facts.task)
        slot = replace(slot, aliases=dict(facts.aliases))
        if champion is None:
            if self._slots.get(facts.task) is not None:
                self._slots.put(slot)
            return
        if _serves(slot, champion):
            self._failures.pop(facts.task, None)
            self._slots.put(replace(slot, last_error=None, from_disk=False))
            return
        self._slots.put(slot)
        failure = self._failures.get(facts.task)
        same = failure is not None and _is(failure.version, failure.source, champion)
        if failure is not None and same and time.monotonic() < failure.not_before:
            return
        try:
            loaded = await self._bundles.load(facts.task, champion.version, champion.source)
        except (BundleError, DiskError, RegistryError) as error:
            self._fail(slot, champion, error.reason, failure.times if failure and same else 0)
            if slot.champion is None:
                await self._restore_task(facts.task)
            return
        await self._prepare(loaded)
        self._slots.put(replace(slot, champion=loaded, last_error=None, from_disk=False))
        self._failures.pop(facts.task, None)
        log.info("version in service", task=facts.task, version=loaded.version)
        await self._bundles.remember(loaded)

    def _fail(self, slot: Slot, champion: VersionFacts, reason: str, times: int) -> None:
        log.error("version refused", task=slot.task, version=champion.version, reason=reason)
        wait = pause(self._settings.poll_seconds, times + 1)
        self._failures[slot.task] = _Failure(
            champion.version, champion.source, times + 1, time.monotonic() + wait
        )
        self._slots.put(replace(slot, last_error=f"version {champion.version}: {reason}"[:500]))

    async def _restore(self) -> None:
        kept = await asyncio.to_thread(self._bundles.tasks)
        for task in self._settings.tasks or kept:
            if self._slots.get(task) is None:
                self._slots.put(Slot(task))
                await self._restore_task(task)
        self.looked = any(slot.champion for slot in self._slots)

    async def _restore_task(self, task: str) -> None:
        loaded = await self._bundles.remembered(task)
        slot = self._slots.get(task)
        if loaded is not None and slot is not None:
            self._slots.put(replace(slot, champion=loaded, from_disk=True))
            log.info("version in service from disk", task=task, version=loaded.version)

    def _mark_missing(self, named: set[str]) -> None:
        """A champion that the registry no longer names goes on serving until the service ends."""
        for slot in self._slots:
            if slot.task not in named:
                self._slots.put(replace(slot, last_error="the registry names no champion"))
        for task in self._settings.tasks:
            if self._slots.get(task) is None:
                self._slots.put(Slot(task, last_error="the registry names no champion"))


def pause(seconds: float, failures: int) -> float:
    """Seconds until the next try: doubled with each failure after the first, a fifth up or down."""
    longest = max(seconds, _LONGEST_PAUSE)
    wait: float = min(seconds * 2.0 ** min(max(failures - 1, 0), 16), longest)
    return wait * random.SystemRandom().uniform(1 - _JITTER, 1 + _JITTER)


def _serves(slot: Slot, champion: VersionFacts) -> bool:
    loaded = slot.champion
    return loaded is not None and _is(loaded.version, loaded.source, champion)


def _is(version: str, source: str, champion: VersionFacts) -> bool:
    return version == champion.version and source == champion.source
