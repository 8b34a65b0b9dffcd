"""The stream engine: gather, append to the log, advance, answer.

Observations of many requests and streams make a batch. Its new states are computed but not shown;
the observations are appended to the log in one transaction; only when that is durable are the
states put in place and the requests answered. One batch is under way at a time, and the jobs of a
stream keep their order. All of it runs on the event loop's thread, but for the store and for
rebuilding, which have threads of their own (`service.streams.keeper`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from service.live.scorer import Scorer
from service.problems import ProblemError, problem
from service.slots import Slots
from service.streams import refusals, unfit
from service.streams.admission import Admission, Groups
from service.streams.arrival import Arrival
from service.streams.attempt import Attempt, append_of, attempt
from service.streams.batch import Course
from service.streams.feeds import Feeds
from service.streams.jobs import Job, Queue, Reply, Request
from service.streams.keeper import Keeper
from service.streams.late import stored_before
from service.streams.replies import events_of, reply_of
from service.streams.resident import Resident, Residents
from store.errors import StoreError
from store.streams import Key

_GATHER_SECONDS = 0.002
"""How long a batch waits for the requesters that were just answered to ask again."""
_LAST_SECONDS = 1.0
"""How long after its deadline a request is waited for that was begun before it."""
_BATCH = 1024  # observations: a few milliseconds of the event loop
_CHECKPOINT_EVERY = 256
"""Observations of a stream between two checkpoints: what a rebuild has to replay at most."""
_CHECKPOINTS = 256
"""Checkpoints in one transaction: under a megabyte, so that no append waits long for it."""

log = structlog.get_logger()


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Engine:
    """Streams of every task. Made, used and closed on one event loop."""

    def __init__(
        self,
        slots: Slots,
        keeper: Keeper,
        feeds: Feeds,
        scorer: Scorer,
        *,
        most_resident: int,
        most_waiting: int,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.residents = Residents(most_resident)
        self._keeper = keeper
        self._feeds = feeds
        self._scorer = scorer
        self._clock = clock
        self._queue = Queue(most_waiting)
        self._admission = Admission(slots, self.residents, keeper, clock, self._again)
        self._more = asyncio.Event()
        self._enough = 1
        self._due: list[Resident] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._idle = asyncio.Event()
        self._running = asyncio.create_task(self._run())

    async def post(
        self,
        task: str,
        arrivals: Sequence[Arrival],
        *,
        wants: bool,
        seconds: float,
        futr: NDArray[np.float32] | None = None,
    ) -> list[Reply | ProblemError]:
        """What became of each arrival, in order; one without observations only reads.

        wants: whether forecasts are, and futr (horizon, n_futr) the known future for them. seconds:
        until an arrival must have been begun. Raises 429 and 503 where too much is waiting, without
        any change, and 503 where what was begun does not end. If the caller is cancelled, what has
        not been begun is dropped.
        """
        if self._stopping:
            raise refusals.stopping()
        loop = asyncio.get_running_loop()
        request = Request(loop.create_future(), len(arrivals))
        deadline = loop.time() + seconds
        jobs = [
            Job((task, arrival.unique_id), arrival, request, deadline, wants, futr)
            for arrival in arrivals
        ]
        if not jobs:
            return []
        self._queue.admit(jobs)
        if len(self._queue) >= self._enough:
            self._more.set()
        # a store that stands still says nothing, for as long as it does
        last = loop.call_at(deadline + _LAST_SECONDS, request.give_up)
        try:
            await request.done
        finally:
            last.cancel()
            request.gone = True
        return [job.reply for job in jobs if job.reply is not None]

    def forget(self, key: Key) -> None:
        """Drop a stream's state, because what the store says of the stream has changed."""
        if (stream := self.residents.get(key)) is not None:
            self.residents.drop(stream)

    async def close(self, seconds: float) -> None:
        """Take nothing new, finish what was taken (for so long at most), keep every state."""
        self._stopping = True
        try:
            async with asyncio.timeout(seconds):
                while len(self._queue) or self._admission.busy or not self._idle.is_set():
                    await self._idle.wait()
                    await asyncio.sleep(0.005)
        except TimeoutError:
            log.warning("streams stopped with work left", jobs=len(self._queue))
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self._admission.close()
        for job in [*self._queue.take(2**62), *self._admission.parked()]:
            job.settle(refusals.stopping())
        await self._save(list(self.residents))

    def _again(self, jobs: Sequence[Job]) -> None:
        self._queue.put_back(jobs)
        self._more.set()

    async def _run(self) -> None:
        while True:
            if not len(self._queue):
                self._idle.set()
                self._enough = 1
                self._more.clear()
                await self._more.wait()
                self._idle.clear()
            jobs = self._queue.take(_BATCH)
            try:
                await self._tried(jobs)
            except asyncio.CancelledError:  # the end: whoever asks again hears what became of it
                for job in jobs:
                    job.settle(refusals.stopping())
                raise
            try:
                await self._keep()
            except Exception:  # a checkpoint is a cache: whoever waits must not pay for it
                log.exception("checkpoints not kept")
            await self._gather(len(jobs) + len(self._queue))

    async def _tried(self, jobs: Sequence[Job]) -> None:
        try:
            await self._batch(jobs)
        except Exception:
            log.exception("batch failed", jobs=len(jobs))
            await self._apart(jobs)

    async def _gather(self, expected: int) -> None:
        """Wait for those who were just answered to ask again, and join those who wait already."""
        self._enough = expected
        if len(self._queue) >= expected:
            return
        self._more.clear()
        try:
            async with asyncio.timeout(_GATHER_SECONDS):
                await self._more.wait()
        except TimeoutError:
            pass

    async def _apart(self, jobs: Sequence[Job]) -> None:
        """After a fault of ours: each job by itself, so that only the one at fault fails."""
        for job in jobs:
            if job.reply is not None:
                continue
            try:  # with what is in memory, or they would come back together once it is read again
                await self._batch([job])
            except Exception:
                log.exception("job failed", task=job.key[0])
                self.forget(job.key)
                job.settle(problem(500, "internal-error"))

    async def _batch(self, jobs: Sequence[Job]) -> None:
        groups = self._admission.sorted(jobs)
        if not groups:
            return
        try:
            stored = await stored_before(self._keeper, groups)
            now = self._clock()
            attempts = [
                attempt(loaded, its, stored, now, self._feeds) for loaded, its in groups.items()
            ]
            appends = [append_of(course) for each in attempts for course in each.courses]
            moved = await self._keeper.append(appends, now) if appends else frozenset()
        except StoreError as error:
            await self._not_kept(groups, refusals.not_kept(error.reason))
            return
        for each in attempts:
            self._show(each, groups[each.loaded], moved)
        # whoever was answered goes first
        score = self._scorer.after
        asyncio.get_running_loop().call_soon(score, attempts, moved, self.residents, now)
        for each in attempts:
            for course in each.unfit:
                self._find_unfit(course, groups[each.loaded][course.stream])

    async def _not_kept(self, groups: Groups, refusal: ProblemError) -> None:
        """Refuse what was to be written; what only reads is tried by itself."""
        jobs = [job for its in groups.values() for waiting in its.values() for job in waiting]
        reads = [job for job in jobs if not len(job.arrival)]
        for job in jobs:
            if len(job.arrival) or len(reads) == len(jobs):
                job.settle(refusal)
        if len(reads) < len(jobs):
            await self._batch(reads)

    def _show(
        self, done: Attempt, jobs: Mapping[Resident, Sequence[Job]], moved: frozenset[int]
    ) -> None:
        """Put states in place and answer. What is durable is shown, and nothing else."""
        away = {
            course.stream.id
            for course in done.courses
            if course.stream.id in moved or course.stream not in self.residents
        }
        done.show(frozenset(away))
        again: list[Job] = []
        for course in done.inline:
            if course.stream.id in moved:
                self.residents.drop(course.stream)
                again += jobs[course.stream]
            elif course.stream.id in away:  # forgotten while its observations were appended
                self._settle(course, jobs[course.stream])
                again += jobs[course.stream]
            else:
                self._answer(course, jobs[course.stream])
        for course in done.aside:
            self.residents.drop(course.stream)
            if course.stream.id not in moved:
                self._settle(course, jobs[course.stream])
            again += jobs[course.stream]
        self._queue.put_back(again)

    def _answer(self, course: Course, jobs: Sequence[Job]) -> None:
        stream = course.stream
        for job, turn in zip(jobs, course.turns, strict=True):
            job.settle(reply_of(course, turn))
        if stream.head.seq - stream.saved >= _CHECKPOINT_EVERY:
            self._due.append(stream)
        if stream.id in self._feeds:
            self._feeds.publish(stream.id, events_of(course), stream.head.seq)

    def _settle(self, course: Course, jobs: Sequence[Job]) -> None:
        """Jobs' observations are in the log; what follows from them is to be rebuilt."""
        for job, turn in zip(jobs, course.turns, strict=True):
            job.arrival = Arrival(job.arrival.unique_id)
            job.outcomes = turn.outcomes
        self._feeds.publish(course.stream.id, (), course.judge.head.seq)

    def _find_unfit(self, course: Course, jobs: Sequence[Job]) -> None:
        """No finite numbers came of a stream's observations: refuse the one at fault alone."""
        if len(jobs) == 1 and len(jobs[0].arrival) <= 1:
            jobs[0].settle(unfit.refused(course, jobs[0]))
            return
        task = asyncio.create_task(unfit.one_by_one(jobs, self._again))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self) -> None:
        """Checkpoints of those that have gone far since the last, and of those that must go."""
        excess = self.residents.excess()
        due, self._due = self._due, []
        await self._save([*due, *excess])
        for stream in excess:
            self.residents.drop(stream)

    async def _save(self, streams: Sequence[Resident]) -> None:
        for start in range(0, len(streams), _CHECKPOINTS):
            part = streams[start : start + _CHECKPOINTS]
            # one that was dropped meanwhile has lost its row
            await self._keeper.keep([stream for stream in part if stream in self.residents])
