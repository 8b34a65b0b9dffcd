"""What the log has at the times of observations that lie before their stream's newest."""

from __future__ import annotations

import math
from collections.abc import Sequence

from service.slots import Loaded
from service.streams.admission import Groups
from service.streams.jobs import Job
from service.streams.judge import Stored
from service.streams.keeper import Keeper
from service.streams.resident import Resident
from service.streams.stamps import has_other_names, placed


async def stored_before(keeper: Keeper, groups: Groups) -> dict[int, Stored]:
    """By stream id, for the rules to compare with: one look a batch. Raises StoreError."""
    pairs = [
        (stream.id, ds)
        for loaded, its in groups.items()
        for stream, jobs in its.items()
        for ds in _before(loaded, stream, jobs)
    ]
    found: dict[int, dict[int, tuple[float, str | None, int]]] = {}
    if pairs:
        for (stream_id, ds), (y, exog, seq) in (await keeper.stored(pairs)).items():
            found.setdefault(stream_id, {})[ds] = math.nan if y is None else y, exog, seq
    return dict(found)


def _before(loaded: Loaded, stream: Resident, jobs: Sequence[Job]) -> Sequence[int]:
    newest = stream.head.ds
    if newest is None:
        return ()
    ds: Sequence[int] = [each for job in jobs for each in job.arrival.ds]
    timeline = loaded.spec.timeline
    if ds and has_other_names(timeline):
        ds, _, _ = placed(timeline, [stream.head.start] * len(ds), ds)
    return [each for each in ds if each < newest]
