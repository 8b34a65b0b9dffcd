"""Brings scores to the store every few seconds, and the test for drift forward.

Nobody waits for it. While the store is down scores wait, up to a bound; where it is not known
whether they were written they are dropped, for nothing may be counted twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog
from sqlalchemy import Connection

from service.live.drift import Test, read, written
from service.live.tally import Batch, Tally
from service.streams.engine import now_ms
from service.streams.keeper import Keeper
from store.drift import Drift, Place, hold_drift, save_drift
from store.errors import StoreDownError, StoreError
from store.scores import add_scores

WRITE_SECONDS = 2.0

log = structlog.get_logger()


class Recorder:
    """Writes a tally.

    drift: the tests as they were when this process last wrote to them, for the metrics.
    """

    def __init__(self, tally: Tally, keeper: Keeper) -> None:
        self._tally = tally
        self._keeper = keeper
        self._failing = False
        self._alone = asyncio.Lock()
        self.drift: dict[Place, Drift] = {}

    async def run(self) -> None:
        """Write, wait, write again, until cancelled."""
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await self.write()
            except Exception:
                log.exception("scores not written")

    async def write(self) -> None:
        """Write what there is. A store that does not take it is logged."""
        async with self._alone:
            batch = self._tally.take()
            if not batch.sums:
                return
            try:
                # finished even where whoever waits for it is cancelled: the store will have it
                tests = await asyncio.shield(self._keeper.note(record, batch, now_ms()))
            except StoreError as error:
                if not (isinstance(error, StoreDownError) and error.unknown):
                    self._tally.put_back(batch)
                if not self._failing:
                    log.warning("scores not written", reason=error.reason)
                self._failing = True
                return
        self._failing = False
        for each in tests:
            before = self.drift.get(each.place)
            self.drift[each.place] = each
            if each.raised_at is not None and (before is None or before.raised_at is None):
                log.warning("drift", task=each.task, version=each.version, lead=each.lead)


def record(connection: Connection, batch: Batch, now: int) -> list[Drift]:
    """Add a batch's sums, and feed the tests of its tasks; these as they are then."""
    add_scores(connection, batch.scores)
    fed: dict[Place, list[tuple[int, int, float]]] = {}
    for (task, version, lead, season), (count, total) in sorted(batch.blocks.items()):
        fed.setdefault((task, version, lead), []).append((season, count, total))
    held = hold_drift(connection, fed, now)
    tests = [advanced(place, rows, held[place[0]], now) for place, rows in fed.items()]
    save_drift(connection, tests)
    return tests


def advanced(
    place: Place, fed: Sequence[tuple[int, int, float]], held: Sequence[Drift], now: int
) -> Drift:
    """A test with scores more. held: the rows of its task. now: milliseconds since 1970.

    A version that serves again, after another has begun, begins anew. Drift that was raised stays
    raised until then.
    """
    rows: Mapping[Place, Drift] = {each.place: each for each in held}
    row = rows[place]
    others = max((each.began for each in held if each.version != row.version), default=-1)
    test = read(row.test)
    if row.test and row.updated < others:
        row, test = replace(row, raised_at=None, began=now), Test()
    raised = row.raised_at
    for each in fed:
        test = test.fed(*each)
        if test.raised and raised is None:
            raised = now
    return replace(
        row,
        test=written(test),
        statistic=test.statistic,
        blocks=test.blocks,
        updated=now,
        raised_at=raised,
    )
