"""Waiting forecasts take memory for the streams that there are, not for those that there may be."""

from __future__ import annotations

import psutil

from service.live.pending import Pending
from tests.service.streams.versions import tiny

ROWS = 100_000


def test_memory_is_taken_by_the_rows_in_use() -> None:
    """Also where as much was taken before and given back, which is not zero any more."""
    process = psutil.Process()
    spec = tiny()
    for _ in range(3):
        used = Pending(spec, ROWS)
        for array in (used.stream, used.target, used.values, used.scale):
            array[:] = 7
    del used
    before = process.memory_info().rss
    kept = [Pending(spec, ROWS) for _ in range(8)]
    assert process.memory_info().rss - before < 4 << 20  # of 17 MB each
    kept[0].values[ROWS - 1] = 1.0
    for each in kept[1:]:
        assert not each.values[ROWS - 1].any()
        assert not each.target[0].any()
