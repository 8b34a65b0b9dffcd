"""Forecasts of concurrent requests, computed together.

While a batch is computed the next requests gather; an idle worker starts at once. Each worker is a
thread with one torch thread of its own: torch lets go of the interpreter while it computes, and two
batches side by side are faster than one that is split in two at every step of the recurrence
(16 series of 336 steps: 45 ms on one thread, 25 ms on two idle ones, 50 to 95 ms when anything else
wants a processor).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import structlog
import torch
from numpy.typing import NDArray

from models.beyond import steps_fed_back
from models.context import Context
from models.predict import predict
from service.fair_queue import FairQueue, Piece, cut
from service.problems import busy
from service.slots import Loaded

_GATHER_SECONDS = 0.003
"""How long a worker waits for the requesters it has just answered to ask again."""

log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class _Job:
    """A request's series on their way through the forecaster."""

    loaded: Loaded
    contexts: Sequence[Context]
    values: NDArray[np.float64]
    pieces_left: int
    done: asyncio.Future[None]


class Batcher:
    """The workers and the queue before them. Made, used and closed on one event loop."""

    def __init__(self, *, threads: int, batch_points: int, max_queued_points: int) -> None:
        self._threads = threads or len(os.sched_getaffinity(0))
        self._batch_points = batch_points
        self._max_queued_points = max_queued_points
        self._queue: FairQueue[_Job] = FairQueue()
        self._more = asyncio.Condition()
        self._pool = ThreadPoolExecutor(self._threads, "forecast", _one_torch_thread)
        self._workers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the workers."""
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._threads)]

    async def close(self) -> None:
        """Stop the workers; what they compute now is finished, what waits is not."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await asyncio.to_thread(self._pool.shutdown)

    async def forecast(
        self, loaded: Loaded, contexts: Sequence[Context], h: int | None = None
    ) -> NDArray[np.float64]:
        """(n, h, outputs) forecasts of n contexts by one version; the horizon where h is less.

        Raises 503 if too much is waiting. When the caller is cancelled its series leave the queue.
        """
        spec = loaded.spec
        h = max(h or 0, spec.horizon)  # shorter ones are cut from it, and computed together
        shape = (len(contexts), h, spec.outputs)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        job = _Job(loaded, contexts, np.empty(shape), 0, done)
        fed_back = steps_fed_back(spec, h)
        pieces = cut(job, [len(context.y) + fed_back for context in contexts], self._batch_points)
        job.pieces_left = len(pieces)
        points = sum(piece.points for piece in pieces)
        if self._queue.points and self._queue.points + points > self._max_queued_points:
            raise busy("too many series are waiting to be forecast")
        self._queue.add((loaded, h), pieces)
        async with self._more:
            self._more.notify_all()
        try:
            await done
        finally:
            if job.pieces_left:
                self._queue.drop(job)
        return job.values

    async def _work(self) -> None:
        answered = 0
        while True:
            await self._gather(answered)
            batch = self._queue.take(self._batch_points)
            answered = len({piece.owner for piece in batch})
            if batch:
                await self._run(batch)

    async def _gather(self, expected: int) -> None:
        async with self._more:
            await self._more.wait_for(lambda: len(self._queue) > 0)
            if len(self._queue) < expected:
                try:
                    async with asyncio.timeout(_GATHER_SECONDS):
                        await self._more.wait_for(lambda: len(self._queue) >= expected)
                except TimeoutError:
                    pass

    async def _run(self, batch: Sequence[Piece[_Job]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            values = await loop.run_in_executor(self._pool, _compute, batch)
        except Exception as error:
            if len(batch) > 1:  # one request's trouble is not its neighbours'
                for piece in batch:
                    await self._run([piece])
                return
            log.error("forecast failed", exc_info=error)
            _settle(batch[0].owner, error)
            return
        start = 0
        for piece in batch:
            job = piece.owner
            job.values[list(piece.rows)] = values[start : start + len(piece.rows)]
            start += len(piece.rows)
            job.pieces_left -= 1
            if not job.pieces_left:
                _settle(job, None)


def _compute(batch: Sequence[Piece[_Job]]) -> NDArray[np.float64]:
    first = batch[0].owner
    contexts = [p.owner.contexts[row] for p in batch for row in p.rows]
    return predict(first.loaded.forecaster, contexts, h=first.values.shape[1])


def _settle(job: _Job, error: Exception | None) -> None:
    if job.done.done():
        return
    if error is None:
        job.done.set_result(None)
    else:
        job.done.set_exception(error)


def _one_torch_thread() -> None:
    torch.set_num_threads(1)
