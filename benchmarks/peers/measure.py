"""One peer, in a process of its own: what it forecasts, and what it costs.

    python -m benchmarks.peers.measure NAME TRAIN.npz OUT.npz

Runs in the peers' environment; needs nothing of ours.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys

import numpy as np

from benchmarks.peers.libraries import PEERS, quiet

_CALLS = 15


def spent() -> float:
    """Processor seconds of this process and those it has waited for."""
    mine, theirs = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def main() -> None:
    """Fit, forecast all series and one, and write forecasts and costs."""
    name, train_file, out_file = sys.argv[1:]
    quiet()
    with np.load(train_file) as kept:
        series = np.split(kept["values"], np.cumsum(kept["lengths"])[:-1])
    began = spent()
    forecast = PEERS[name](series)
    fitted = spent() - began
    forecast(series[:2])
    began = spent()
    values = forecast(series)
    all_seconds = spent() - began
    calls = []
    for row in range(_CALLS):
        before = spent()
        forecast(series[row : row + 1])
        calls.append(spent() - before)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    facts = {
        "fit_cpu_seconds": fitted,
        "all_cpu_seconds": all_seconds,
        "one_cpu_seconds": statistics.median(calls),
        "peak_bytes": peak,
    }
    np.savez(out_file, values=values, facts=json.dumps(facts))


if __name__ == "__main__":
    main()
