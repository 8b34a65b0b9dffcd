"""ETTh1, multivariate, the usual split and scaling: errors and coverage at four horizons.

    python -m benchmarks ett

fits LSTM, GRU and their ensemble with default settings (`gatecast fit … --cell all`, a process of
its own) to the first 16 months of 30 days, and scores them on the four months after, once: every
origin, all seven series, values scaled by mean and standard deviation of the first 12 months, as
the literature on this set does. GATECAST_DATA names the folder that holds `ett/ETTh1.csv`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from benchmarks.fitted import fit, registered
from models.context import Context
from models.forecaster import Forecaster, ascending
from models.state import Steps
from models.transform import to_data
from training.contexts import context
from training.sources import load

_HORIZONS = (96, 192, 336, 720)
_MONTH = 30 * 24
_SCALED_BY, _KNOWN, _ALL = 12 * _MONTH, 16 * _MONTH, 20 * _MONTH
_AT_ONCE = 96

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Errors:
    """Over all windows and series: MSE and MAE of the median, scaled; coverage (horizon,)."""

    mse: float
    mae: float
    inside80: Values
    inside95: Values


def main() -> None:
    """Print a line a horizon and forecaster."""
    folder = os.environ.get("GATECAST_DATA")
    if folder is None or not Path(folder, "ett", "ETTh1.csv").is_file():
        sys.exit("ett: GATECAST_DATA names no folder with ett/ETTh1.csv in it")
    table = pl.read_csv(Path(folder, "ett", "ETTh1.csv")).head(_ALL)
    with tempfile.TemporaryDirectory() as scratch:
        known, whole = Path(scratch, "known.csv"), Path(scratch, "whole.csv")
        for file, rows in ((known, _KNOWN), (whole, _ALL)):
            long = table.head(rows).unpivot(index="date", variable_name="unique_id")
            long.rename({"date": "ds", "value": "y"}).write_csv(file)
        for horizon in _HORIZONS:
            _print(horizon, known, whole, Path(scratch, f"var-{horizon}"))


def _print(horizon: int, known: Path, whole: Path, var: Path) -> None:
    options = ("--freq", "h", "--horizon", str(horizon), "--season", "24,168", "--cell", "all")
    cost = fit(known, var, *options)
    panel = load(whole, freq="h")
    for name, (forecaster, cpu) in registered(var).items():
        pasts = [context(panel, s, forecaster.spec, len(s)) for s in panel.series]
        found = errors(forecaster, pasts)
        worst = [
            np.abs(each - level).max()
            for each, level in ((found.inside80, 0.8), (found.inside95, 0.95))
        ]
        print(
            f"{horizon} {name}: MSE {found.mse:.4f}  MAE {found.mae:.4f}  "
            f"80 % covers {found.inside80.mean():.1%} (a step by {worst[0]:.1%} at most)  "
            f"95 % covers {found.inside95.mean():.1%} ({worst[1]:.1%})  "
            f"trained in {cpu:.0f} CPU-seconds",
            flush=True,
        )
    print(f"  gatecast fit, whole process: {cost}", flush=True)


@torch.inference_mode()
def errors(forecaster: Forecaster, pasts: list[Context]) -> Errors:
    """Of forecasts at every origin from the last known step to the last with a whole horizon."""
    spec, column = forecaster.spec, forecaster.spec.quantiles.index
    y = torch.from_numpy(np.stack([past.y for past in pasts]))  # (7, T)
    exog = torch.from_numpy(np.stack([past.exog for past in pasts]))
    spread = y[:, :_SCALED_BY].std(1, correction=0)[:, None, None]  # the mean cancels
    state = forecaster.initial_state(len(pasts))
    state = forecaster.replay(state, Steps(y[:, : _KNOWN - 1], exog[:, : _KNOWN - 1]))
    square = absolute = 0.0
    inside = np.zeros((2, spec.horizon))
    windows = _ALL - spec.horizon - _KNOWN + 1
    for begin in range(_KNOWN, _KNOWN + windows, _AT_ONCE):
        origins = range(begin, min(begin + _AT_ONCE, _KNOWN + windows))
        steps = slice(origins.start - 1, origins.stop - 1)  # each origin's last known step
        unrolled = forecaster.unroll(state, Steps(y[:, steps], exog[:, steps]))
        state = unrolled.state
        x = unrolled.loc[..., None, None] + unrolled.scale[..., None, None] * ascending(unrolled.z)
        values = to_data(x, spec)  # (7, K, horizon, Q)
        truth = torch.stack([y[:, k : k + spec.horizon] for k in origins], 1)  # (7, K, horizon)
        off = (truth - values[..., column(0.5)]) / spread
        square += float(off.square().sum())
        absolute += float(off.abs().sum())
        for row, (low, high) in enumerate(((0.1, 0.9), (0.025, 0.975))):
            between = (values[..., column(low)] <= truth) & (truth <= values[..., column(high)])
            inside[row] += between.sum((0, 1)).numpy()
    n = len(pasts) * windows
    return Errors(
        square / (n * spec.horizon), absolute / (n * spec.horizon), inside[0] / n, inside[1] / n
    )


if __name__ == "__main__":
    main()
