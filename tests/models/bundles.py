"""Small bundles for tests, of a forecaster with every kind of covariate; and how to reseal them."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from models.bundle import DIGEST, MANIFEST, write_bundle
from models.context import Context
from models.forecaster import Forecaster, new_forecaster
from models.manifest import WEIGHTS, DataFacts, Manifest, Memory, Reach, Score, Scores, Standing
from models.spec import Spec
from models.timeline import Timeline

DATA = DataFacts(
    n_series=3,
    n_observations=595,
    first="2024-01-01T00:00:00+00:00",
    last="2024-01-09T07:00:00+00:00",
    digest=sha256(b"data").hexdigest(),
    source="loads.csv",
)
MASE = Score(overall=0.8, by_horizon=(0.7, 0.8, 0.9, 0.8, 0.8, None))
SCORES = Scores(
    windows=sha256(b"windows").hexdigest(),
    step_size=6,
    season=24,
    horizon=6,
    forecaster=Standing(n_series=3, n_windows=6, metrics={"mase": MASE}),
    baselines={"seasonal_naive": Standing(n_series=3, n_windows=6, metrics={"mase": MASE})},
)
MEMORY = Memory(
    n_series=3,
    longest=120,
    reaches=(
        Reach(tolerance=1e-2, median=24, worst=40),
        Reach(tolerance=1e-3, median=40, worst=90),
        Reach(tolerance=1e-6, median=120, worst=None),
    ),
)


def spec(**changes: Any) -> Spec:
    values: dict[str, Any] = {
        "cell": "lstm",
        "timeline": Timeline(kind="time", freq="h"),
        "horizon": 6,
        "input_size": 24,
        "lags": 24,
        "hidden_size": 8,
        "season": (24,),
        "calendar": ("hour_of_day",),
        "hist_exog": ("temperature",),
        "futr_exog": ("price",),
        "stat_exog": ("area",),
        "quantiles": (0.1, 0.5, 0.9),
    }
    return Spec(**(values | changes))


def context(spec: Spec, steps: int = 200, seed: int = 0) -> Context:
    random = np.random.default_rng(seed)
    y = 10 + 3 * np.sin(np.arange(steps) * 2 * np.pi / 24) + random.normal(size=steps)
    y[steps // 4 : steps // 4 + 3] = np.nan
    exog = random.normal(size=(steps, spec.exog_size)).astype(np.float32)
    exog[steps // 2, -1:] = np.nan
    futr = random.normal(size=(spec.horizon, spec.n_futr)).astype(np.float32)
    return Context(y, exog, futr, random.normal(size=len(spec.stat_exog)).astype(np.float32))


def written(folder: Path, spec: Spec, seed: int = 0) -> tuple[Forecaster, Manifest]:
    forecaster = new_forecaster(spec, seed)
    manifest = write_bundle(
        folder,
        forecaster,
        data=DATA,
        golden=context(spec),
        scores=SCORES,
        seed=seed,
        memory=MEMORY,
    )
    return forecaster, manifest


def reseal(folder: Path, manifest: dict[str, Any] | None = None) -> None:
    """Make every digest fit again, as whoever may write the folder can."""
    values = json.loads((folder / MANIFEST).read_bytes()) if manifest is None else manifest
    weights = (folder / WEIGHTS).read_bytes()
    values["files"][WEIGHTS] = {"sha256": sha256(weights).hexdigest(), "bytes": len(weights)}
    seal(folder, json.dumps(values).encode())


def seal(folder: Path, text: bytes) -> None:
    (folder / MANIFEST).write_bytes(text)
    (folder / DIGEST).write_text(f"{sha256(text).hexdigest()}  {MANIFEST}\n")
