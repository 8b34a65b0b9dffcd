"""The challenger in shadow: its forecasts are held against what the champion's were held against.

Whenever a forecast of the champion is scored here, of a stream that is shadowed, the shadow is told
which it was. Later, in a thread that any other goes before, it makes the challenger's forecast
after the same observation of the stream's log, and scores it by the same truth over the same scale.
So a challenger is scored as often as the champion was at most, over restarts and replicas too: an
observation is scored by the one process that appended it. Whatever keeps the shadow from its work
costs scores of the challenger and nothing else.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
import structlog

from service.library import Library
from service.live.measure import Ruler
from service.live.pending import leads_of
from service.live.scorer import Scored
from service.live.tally import Sums, Tally
from service.live.walk import Walk
from service.problems import ProblemError, problem
from service.slots import Loaded, Slot, Slots
from service.streams.batch import Values
from service.streams.keeper import Keeper
from store.conventions import CHALLENGER
from store.drift import Place
from store.errors import StoreError
from store.scores import HOUR
from store.streams import Key

LOOK_SECONDS = 2.0
"""Between two looks at what was scored."""
CHOOSE_SECONDS = 60.0
"""Between two choices of streams."""
_RETRY_SECONDS = 60.0
"""Before a task whose shadow failed is looked at again."""
_BUSY_SECONDS = 1.0
"""Of a look, for one task; what is left waits for the next."""
_WAITING = 256
"""Forecasts of a stream that wait; the oldest go."""
_AT_ONCE = 16
"""Of them in one go, so that a service that stops waits for no more."""

log = structlog.get_logger()


class Due(NamedTuple):
    """A forecast of the champion that was scored. champion: what it adds to sums (`Tally`)."""

    origin: int
    lead: int
    truth: float
    scale: float
    now: int
    champion: Sums


@dataclass(eq=False, slots=True)
class Shadowing:
    """A task's challenger, as long as it is one.

    leads: at which the champion is scored and it has forecasts. streams: those that are shadowed,
    by id. waiting: what is to be done, by stream, the longest
    waiting first.
    """

    loaded: Loaded
    ruler: Ruler
    leads: tuple[int, ...]
    streams: dict[int, Key] = field(default_factory=dict)
    choose_at: float = 0.0
    walks: dict[int, Walk] = field(default_factory=dict)
    waiting: OrderedDict[int, deque[Due]] = field(default_factory=OrderedDict)
    behind: bool = False


class Shadow:
    """Shadows the champions of one service. Only for the event loop's thread.

    count: streams a task. beside: by task, challenger and lead, the champion's sums on exactly the
    forecasts that the challenger was scored on, since this process began.
    """

    def __init__(
        self, slots: Slots, library: Library, keeper: Keeper, tally: Tally, *, count: int
    ) -> None:
        self.beside: dict[Place, Sums] = {}
        self._slots = slots
        self._library = library
        self._keeper = keeper
        self._tally = tally
        self._count = count
        self._tasks: dict[str, Shadowing] = {}
        self._failed: dict[str, tuple[str, str, float]] = {}

    def seen(self, scored: Iterable[Scored]) -> None:
        """Be told what was scored just now."""
        for each in scored:
            task = self._tasks.get(each.loaded.task)
            if task is None or each.lead not in task.leads:
                continue
            if each.loaded.version == task.loaded.version:  # it serves already, and is counted
                continue
            sums = np.column_stack([np.ones(len(each.streams)), *each.measured])
            for place, stream in enumerate(each.streams.tolist()):
                if stream not in task.streams:
                    continue
                waiting = task.waiting.setdefault(stream, deque(maxlen=_WAITING))
                if len(waiting) == _WAITING and not task.behind:
                    task.behind = True
                    log.warning("challenger left behind", **_named(task.loaded))
                waiting.append(
                    Due(
                        int(each.origins[place]),
                        each.lead,
                        float(each.truth[place]),
                        float(each.scales[place]),
                        each.now,
                        sums[place],
                    )
                )

    async def run(self) -> None:
        """Look, pause, look again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Score what waits, of every task. Whatever goes wrong with one is logged once."""
        for slot in list(self._slots):
            try:
                await self._look_at(slot)
            except ProblemError as error:
                self._fail(slot, str(error))
            except StoreError as error:
                self._fail(slot, error.reason)
            except Exception as error:  # noqa: BLE001 - said once, and with its traceback
                self._fail(slot, type(error).__name__, fault=error)

    async def _look_at(self, slot: Slot) -> None:
        version = challenger_of(slot)
        task = self._tasks.get(slot.task)
        if task is not None and not _goes_on(task, slot):
            del self._tasks[slot.task]
            log.info("challenger out of shadow", **_named(task.loaded))
            task = None
        if version is None:
            self._failed.pop(slot.task, None)
            return
        clock = asyncio.get_running_loop().time
        failed = self._failed.get(slot.task)
        if failed is not None and failed[0] == version and clock() < failed[2]:
            return
        if task is None:
            task = await self._begun(slot, version)
        if clock() >= task.choose_at:
            choice = await self._keeper.sample(slot.task, self._count)
            task.streams = choice
            for gone in task.walks.keys() - choice.keys():
                del task.walks[gone]
            task.choose_at = clock() + CHOOSE_SECONDS
        end = clock() + _BUSY_SECONDS
        while task.waiting and clock() < end:
            await self._advance(task)
        self._failed.pop(slot.task, None)

    async def _begun(self, slot: Slot, version: str) -> Shadowing:
        """A version in shadow. Raises ProblemError where it cannot be had, or not be compared."""
        loaded = await self._library.find(slot.task, version=version)
        reason = _unfit(slot, loaded)
        if reason is not None:
            raise problem(409, "unusable-version", reason)
        task = Shadowing(loaded, Ruler(loaded.spec), _leads(slot, loaded))
        self._tasks[slot.task] = task
        log.info("challenger in shadow", **_named(loaded))
        return task

    async def _advance(self, task: Shadowing) -> None:
        """Score some of what waits of one stream."""
        stream = next(iter(task.waiting))
        waiting = task.waiting.pop(stream)
        due = [waiting.popleft() for _ in range(min(len(waiting), _AT_ONCE))]
        if waiting:  # behind the other streams
            task.waiting[stream] = waiting
        key = task.streams.get(stream)
        if key is None:
            return
        if stream not in task.walks:
            task.walks[stream] = Walk(partial(self._keeper.past, task.loaded, key), task.leads)
        origins = [each.origin for each in due]
        made = await self._keeper.whenever(task.walks[stream].after, origins)
        slot = self._slots.get(task.loaded.task)
        if slot is not None and _goes_on(task, slot):
            self._add(task, [each for each in due if each.origin in made], made)

    def _add(self, task: Shadowing, due: Sequence[Due], made: Mapping[int, Values]) -> None:
        groups: dict[tuple[int, int], list[Due]] = {}
        for each in due:
            groups.setdefault((each.lead, each.now // HOUR), []).append(each)
        for (lead, _), its in groups.items():
            place = task.leads.index(lead)
            values = np.array([made[each.origin][place] for each in its])  # (n, outputs)
            truth = np.array([each.truth for each in its])
            scale = np.array([each.scale for each in its])
            measured = task.ruler.measure(truth, values, scale)
            where = task.loaded.task, task.loaded.version, lead
            self._tally.add(where, measured, its[0].now, None)
            beside = np.sum([each.champion for each in its], axis=0)
            self.beside[where] = self.beside.get(where, np.zeros(6)) + beside

    def _fail(self, slot: Slot, reason: str, fault: Exception | None = None) -> None:
        version = challenger_of(slot) or ""
        before = self._failed.get(slot.task)
        again = asyncio.get_running_loop().time() + _RETRY_SECONDS
        self._failed[slot.task] = version, reason, again
        if before is None or before[:2] != (version, reason):
            said = {"task": slot.task, "version": version, "reason": reason}
            log.warning("challenger not shadowed", **said, exc_info=fault)


def challenger_of(slot: Slot) -> str | None:
    """The version that waits beside the one that serves; None where there is no such two."""
    version = slot.aliases.get(CHALLENGER)
    if slot.champion is None or version == slot.champion.version:
        return None
    return version


def _goes_on(task: Shadowing, slot: Slot) -> bool:
    """Whether a shadow is still what the registry asks for."""
    same = challenger_of(slot) == task.loaded.version
    return same and _leads(slot, task.loaded) == task.leads


def _leads(slot: Slot, loaded: Loaded) -> tuple[int, ...]:
    """The leads at which the champion is scored and a version has forecasts."""
    if slot.champion is None:
        return ()
    return tuple(x for x in leads_of(slot.champion.spec.horizon) if x <= loaded.spec.horizon)


def _unfit(slot: Slot, loaded: Loaded) -> str | None:
    """Why a version cannot be held against the champion on the same streams."""
    if slot.champion is not None and loaded.spec.timeline != slot.champion.spec.timeline:
        return "it counts time otherwise than the version that serves"
    if loaded.spec.futr_exog:
        return "it reads the known future, which the log does not hold"
    return None


def _named(loaded: Loaded) -> dict[str, str]:
    return {"task": loaded.task, "version": loaded.version}
