"""What gates are for: gradients by lag, and two problems of memory by length, three cells.

    python -m benchmarks gates

takes five minutes of one core. Elman, GRU and LSTM layers of as many parameters each are trained
for as many batches, with five seeds, on the adding and the copy problem. Charts are written to
`var/gates/`.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.gates_charts import draw_gradients, draw_problems
from benchmarks.gates_problems import (
    UNITS,
    Adding,
    Copying,
    Network,
    Problem,
    fitted,
    gradient_by_lag,
    parameters,
)
from models.recurrent import Recurrent
from models.spec import Recurrence

_SEEDS, _BATCHES, _LAGS = 5, 600, 100
_ADDING, _COPYING = (20, 50, 100), (5, 10, 20, 40)
_SOLVED = 0.1
"""The share of a memoryless network's error below which a problem counts as solved."""

Floats = NDArray[np.float64]


def main() -> None:
    """Print a line a cell, problem and length."""
    torch.set_num_threads(1)
    began = time.process_time()
    for cell, units in UNITS.items():
        held = sum(p.numel() for p in Recurrent(cell, Adding(1).inputs, units, 1).parameters())
        print(f"{cell}: {units} units, {parameters(cell, 2):,} parameters ({held:,} as torch has)")
    gradients = {f"{cell}, untrained": _untrained(cell) for cell in UNITS}
    errors: dict[str, dict[Recurrence, Floats]] = {}  # (lengths, seeds) over the memoryless error
    for name, lengths in (("adding", _ADDING), ("copying", _COPYING)):
        errors[name] = {}
        for cell in UNITS:
            rows = []
            for length in lengths:
                problem: Problem = Adding(length) if name == "adding" else Copying(length)
                runs = [fitted(cell, problem, seed=s, batches=_BATCHES) for s in range(_SEEDS)]
                rows.append([error / problem.memoryless for _, error in runs])
                _say(f"{name} over {length}", cell, np.array(rows[-1]))
                if name == "adding" and length == _LAGS:
                    gradients[f"{cell}, trained"] = _by_lag([each for each, _ in runs])
            errors[name][cell] = np.array(rows)
    for kind, norms in gradients.items():
        shown = "  ".join(f"{lag}: {_spread(norms[:, lag])}" for lag in (1, 10, 50, _LAGS - 1))
        print(f"gradient by lag, {kind}: {shown}")
    folder = Path("var", "gates")
    folder.mkdir(parents=True, exist_ok=True)
    draw_gradients(gradients, folder / "gates-gradients.svg")
    draw_problems(errors, {"adding": _ADDING, "copying": _COPYING}, folder / "gates-problems.svg")
    print(f"{time.process_time() - began:.0f} CPU-seconds; charts in {folder}")


def _untrained(cell: Recurrence) -> Floats:
    networks = []
    for seed in range(_SEEDS):
        torch.manual_seed(seed)
        networks.append(Network(cell, Adding(_LAGS).inputs, Adding(_LAGS).outputs))
    return _by_lag(networks)


def _by_lag(networks: list[Network]) -> Floats:
    """(seeds, lags)."""
    x, _ = Adding(_LAGS).draw(64, torch.Generator().manual_seed(0))
    return np.array([gradient_by_lag(each, x).double().numpy() for each in networks])


def _say(problem: str, cell: str, shares: Floats) -> None:
    solved = int((shares < _SOLVED).sum())
    low, high = wilson(solved, len(shares))
    print(
        f"{problem}, {cell}: {_spread(shares)} of the memoryless error; "
        f"solved by {solved} of {len(shares)} seeds ({low:.0%} to {high:.0%})",
        flush=True,
    )


def _spread(values: Floats) -> str:
    """Geometric mean, and from the least to the largest; nothing counts as float32's least."""
    values = values.clip(np.finfo(np.float32).tiny)
    return f"{np.exp(np.log(values).mean()):.2g} ({values.min():.2g} to {values.max():.2g})"


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


if __name__ == "__main__":
    main()
