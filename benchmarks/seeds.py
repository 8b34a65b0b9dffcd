"""M4 hourly again and again: how far the errors of the same settings differ by seed alone.

    python -m benchmarks seeds

is `python -m benchmarks m4` with five seeds, which takes an hour on one core, and gives
mean and standard deviation over seeds. The last line is of all the networks' forecasts together,
the mean of each quantile.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.fitted import fit, registered
from benchmarks.m4 import OPTIONS, Scored, Truth, forecast

_SEEDS = 5


def main() -> None:
    """Print a line a fit, then one a forecaster."""
    m4 = Truth.read()
    scores: dict[str, list[Scored]] = defaultdict(list)
    every = []
    for seed in range(_SEEDS):
        with tempfile.TemporaryDirectory() as var:
            fit(m4.train_file, Path(var), *OPTIONS, "--seed", str(seed), quiet=True)
            found = registered(Path(var))
        for name, (forecaster, _) in found.items():
            values, _ = forecast(m4.train, forecaster)
            scores[name].append(m4.scored(values))
            every += [values] if name != "ensemble" else []
            print(f"seed {seed} {name}: {scores[name][-1]}", flush=True)
    for name, each in scores.items():
        owa, msis = np.array([(one.owa, one.msis) for one in each]).T  # (seeds,) each
        print(
            f"{name}: OWA {owa.mean():.4f} ± {owa.std(ddof=1):.4f} ({owa.min():.4f} to "
            f"{owa.max():.4f})  MSIS {msis.mean():.3f} ± {msis.std(ddof=1):.3f}"
        )
    together = {level: np.mean([each[level] for each in every], axis=0) for level in every[0]}
    print(f"all {len(every)} together: {m4.scored(together)}")


if __name__ == "__main__":
    main()
