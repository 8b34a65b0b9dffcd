"""M4 hourly with default settings: error, intervals, processor time and memory of each forecaster.

    python -m benchmarks m4

fits LSTM, GRU and their ensemble as a person would (`gatecast fit Hourly-train.csv … --cell all`, a
process of its own) and scores their forecasts on the competition's test file, once. GATECAST_DATA
names the folder that holds `m4/Hourly-train.csv` and `m4/Hourly-test.csv`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.fitted import fit, registered
from models import metrics
from models.forecaster import Forecaster
from models.naive2 import naive2
from models.predict import predict
from training.contexts import context
from training.panel import Panel
from training.sources import load

_HORIZON, _SEASON = 48, 24
OPTIONS = ("--freq", "h", "--horizon", str(_HORIZON), "--season", "24,168", "--cell", "all")

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """Errors as the competition has them; covered: what the intervals do, in words."""

    owa: float
    smape: float
    mase: float
    msis: float
    covered: str

    def __str__(self) -> str:
        return (
            f"OWA {self.owa:.4f}  sMAPE {self.smape:.3f}  MASE {self.mase:.4f}  "
            f"MSIS {self.msis:.3f}  {self.covered}"
        )


@dataclass(frozen=True, slots=True)
class Truth:
    """What was known and what came: values (414, 48), Naive2's errors, series' scales (414,)."""

    train_file: Path
    train: Panel
    values: Values
    smape2: float
    mase2: float
    scale: Values

    @classmethod
    def read(cls) -> Truth:
        """Ends the process where GATECAST_DATA does not have it."""
        folder = os.environ.get("GATECAST_DATA")
        if folder is None or not Path(folder, "m4").is_dir():
            sys.exit("m4: GATECAST_DATA names no folder with m4/Hourly-train.csv in it")
        file = Path(folder, "m4", "Hourly-train.csv")
        train, test = (
            load(file.with_name(f"Hourly-{part}.csv"), freq="h") for part in ("train", "test")
        )
        truth = np.stack([series.y for series in test.series])  # (414, 48)
        return cls(file, train, truth, *_naive2(train, truth))

    def scored(self, values: dict[float, Values]) -> Scored:
        """Quantiles (414, 48) by level."""
        smape = float(metrics.smape(self.values, values[0.5]))
        mase = float(metrics.mase(self.values, values[0.5], self.scale))
        return Scored(
            owa=metrics.owa(smape, mase, self.smape2, self.mase2),
            smape=smape,
            mase=mase,
            msis=float(metrics.msis(self.values, values[0.025], values[0.975], self.scale)),
            covered=f"80 % covers {_covered(self.values, values, 0.8)}  "
            f"95 % covers {_covered(self.values, values, 0.95)}",
        )


def main() -> None:
    """Print a line a forecaster."""
    m4 = Truth.read()
    print(f"naive2: sMAPE {m4.smape2:.3f}  MASE {m4.mase2:.3f}")
    with tempfile.TemporaryDirectory() as var:
        cost = fit(m4.train_file, Path(var), *OPTIONS)
        found = registered(Path(var))
    for name, (forecaster, cpu) in found.items():
        values, predict_cpu = forecast(m4.train, forecaster)
        print(
            f"{name}: {m4.scored(values)}\n"
            f"  trained in {cpu:.0f} CPU-seconds; all 414 forecasts {predict_cpu:.1f}",
            flush=True,
        )
    print(f"gatecast fit, whole process: {cost}")


def forecast(train: Panel, forecaster: Forecaster) -> tuple[dict[float, Values], float]:
    """Quantiles (414, 48) by level, and the CPU seconds they took."""
    spec = forecaster.spec
    contexts = [context(train, series, spec, len(series)) for series in train.series]
    began = time.process_time()
    values = predict(forecaster, contexts)
    spent = time.process_time() - began
    return {level: values[..., q] for q, level in enumerate(spec.quantiles)}, spent


def _covered(truth: Values, values: dict[float, Values], level: float) -> str:
    """The share of truths inside, and by how much the worst step ahead is off."""
    low, high = (values[round(q, 3)] for q in ((1 - level) / 2, (1 + level) / 2))
    inside = ((low <= truth) & (truth <= high)).mean(axis=0)  # (48,)
    return f"{inside.mean():.1%} (a step by {np.abs(inside - level).max():.1%} at most)"


def _naive2(train: Panel, truth: NDArray[np.float64]) -> tuple[float, float, NDArray[np.float64]]:
    """sMAPE and MASE of Naive2, and each series' scale (414,)."""
    forecast = np.stack([naive2(series.y, _SEASON, _HORIZON) for series in train.series])
    scale = np.array([float(metrics.mase_scale(series.y, _SEASON)) for series in train.series])
    smape = float(metrics.smape(truth, forecast))
    return smape, float(metrics.mase(truth, forecast, scale)), scale


if __name__ == "__main__":
    main()
