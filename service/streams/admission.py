"""Which jobs can be done now: those of streams that are in memory for the version that serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from service.problems import ProblemError
from service.slots import Loaded, Slots
from service.streams import refusals
from service.streams.head import expired
from service.streams.jobs import Job
from service.streams.keeper import Keeper
from service.streams.loading import Found, Loading
from service.streams.rebuild import Unloadable
from service.streams.resident import Resident, Residents
from service.streams.stamps import written
from store.streams import Key

Groups = dict[Loaded, dict[Resident, list[Job]]]
"""Jobs by version and stream, each stream's in their order."""


class Admission:
    """Brings streams to memory for the jobs that need them.

    again: called with a stream's jobs when it has come.
    """

    def __init__(
        self,
        slots: Slots,
        residents: Residents,
        keeper: Keeper,
        clock: Callable[[], int],
        again: Callable[[Sequence[Job]], None],
    ) -> None:
        self._slots = slots
        self._residents = residents
        self._clock = clock
        self._again = again
        self._loading = Loading(keeper, self._arrived)

    @property
    def busy(self) -> bool:
        """Whether any job waits for a stream."""
        return self._loading.busy

    def parked(self) -> Iterator[Job]:
        """The jobs that wait."""
        return self._loading.parked()

    async def close(self) -> None:
        """Bring nothing more."""
        await self._loading.close()

    def sorted(self, jobs: Sequence[Job]) -> Groups:
        """The jobs that can be done now. The others wait for their streams, or are answered."""
        now, loop_now = self._clock(), asyncio.get_running_loop().time()
        groups: Groups = {}
        for job in jobs:
            if not job.outcomes and (job.request.gone or loop_now > job.deadline):
                job.settle(refusals.too_slow())
                continue
            slot = self._slots.get(job.key[0])
            if slot is None or slot.champion is None:
                job.settle(refusals.no_champion())
                continue
            if not _fits(job, slot.champion):
                job.settle(refusals.exchanged())
                continue
            stream = self._current(job.key, slot.champion, now)
            if stream is None or self._loading.waits_for(job.key):
                self._loading.park(job, slot.champion)
            else:
                groups.setdefault(slot.champion, {}).setdefault(stream, []).append(job)
        return groups

    def _current(self, key: Key, champion: Loaded, now: int) -> Resident | None:
        """The stream, if what is in memory is of use; the store knows best whether it expired."""
        stream = self._residents.get(key)
        if stream is None:
            return None
        if stream.loaded is champion and not expired(stream.options, stream.head, now):
            return stream
        self._residents.drop(stream)
        return None

    def _arrived(self, key: Key, loaded: Loaded, found: Found, jobs: Sequence[Job]) -> None:
        refusal: ProblemError | None = None
        timeline = loaded.spec.timeline
        if isinstance(found, ProblemError):
            refusal = found
        elif found is None:
            refusal = refusals.unknown_stream(key[0])
        elif isinstance(found, Unloadable):
            closed = refusals.gone(written(timeline, found.ds), expired=False)
            refusal = closed if found.closed else refusals.incompatible()
        elif expired(found.options, found.head, self._clock()):
            refusal = refusals.gone(written(timeline, found.head.ds), expired=True)
        else:
            self._residents.put(found, key, loaded)
        if refusal is None:
            self._again(jobs)
            return
        for job in jobs:
            job.settle(refusal)


def _fits(job: Job, champion: Loaded) -> bool:
    """Whether a job's known future is of the version that serves now, which may have come since."""
    spec = champion.spec
    return job.futr is None or job.futr.shape == (spec.horizon, len(spec.futr_exog))
