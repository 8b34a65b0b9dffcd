"""Specs of every kind, and random series for them, for the contracts of forecasters."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from models.context import Context
from models.forecaster import Forecaster, new_forecaster
from models.holidays import Holidays
from models.spec import Spec
from models.state import Steps
from models.timeline import Timeline

COUNTED = Timeline(kind="integer", freq="1")
HOURS = Timeline(kind="time", freq="h")

FREE = Holidays(place="DE", days=(19723, 19811))

CELLS = (
    ("lstm",),
    ("gru",),
    ("elman",),
    ("ensemble", "lstm", "gru"),
    ("ensemble", "gru", "gru", "elman"),
)
KINDS = ("hospital", "school", "shop")
GAPS = ("none", "scattered", "runs", "leading", "trailing", "all")


def spec_of(**changes: Any) -> Spec:
    """A tiny forecaster of three steps with seasons of three and six."""
    values: dict[str, Any] = {
        "cell": "gru",
        "timeline": HOURS if changes.get("calendar") else COUNTED,
        "horizon": 3,
        "input_size": 8,
        "lags": 8,
        "hidden_size": 4,
        "quantiles": (0.1, 0.5, 0.9),
        "season": (3, 6),
    }
    return Spec(**(values | changes))


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    """Every cell, head, transform and kind of covariate."""
    size = draw(st.integers(1, 12))
    cell, *members = draw(st.sampled_from(CELLS))
    calendar = draw(st.sampled_from([(), ("hour_of_day",)]))
    stat_exog = draw(st.sampled_from([(), ("area",), ("area", "kind")]))
    return spec_of(
        cell=cell,
        members=tuple(members),
        layers=draw(st.integers(1, 2)),
        horizon=draw(st.integers(1, 4)),
        input_size=size,
        lags=draw(st.integers(1, size)),
        quantiles=draw(st.sampled_from([(), (0.5,), (0.1, 0.5, 0.9)])),
        skip=draw(st.booleans()),
        gated=draw(st.sampled_from([0, 5])),
        sees_gaps=draw(st.booleans()),
        fills_gaps=draw(st.booleans()),
        transform=draw(st.sampled_from(["none", "log"])),
        resolution=draw(st.sampled_from([0.0, 1.5])),
        nonnegative=draw(st.booleans()),
        calendar=calendar,
        holidays=draw(st.sampled_from([None, FREE])) if calendar else None,
        hist_exog=draw(st.sampled_from([(), ("wind",)])),
        futr_exog=draw(st.sampled_from([(), ("price", "holiday")])),
        stat_exog=stat_exog,
        categorical=(("kind", KINDS),) if "kind" in stat_exog else (),
    )


def loud(spec: Spec, seed: int) -> Forecaster:
    """An untrained forecaster whose state weighs as much as its window: a wrong state shows."""
    forecaster = new_forecaster(spec, seed)
    with torch.no_grad():
        forecaster.head.state.weight.mul_(10.0)
        if spec.gated:  # what begins at nothing
            random = torch.Generator().manual_seed(seed)
            forecaster.head.gate_output.weight.uniform_(-1.0, 1.0, generator=random)
        forecaster.encoder.exog_loc.fill_(0.3)
        forecaster.encoder.exog_scale.fill_(2.0)
    return forecaster


def values(length: int, seed: int, gaps: str = "none") -> NDArray[np.float64]:
    """A seasonal walk that crosses zero, (length,), with gaps of a kind."""
    random = np.random.default_rng(seed)
    season = 10.0 * np.sin(np.arange(length) * 2.1)
    y: NDArray[np.float64] = season + random.normal(size=length).cumsum()
    if gaps == "scattered":
        y[random.random(length) < 0.3] = np.nan
    elif gaps == "runs":
        for start in random.integers(0, max(length, 1), size=3):
            y[start : start + random.integers(1, 30)] = np.nan
    elif gaps == "leading":
        y[: length // 2] = np.nan
    elif gaps == "trailing":
        y[length // 2 :] = np.nan
    elif gaps == "all":
        y[:] = np.nan
    return np.asarray(y, dtype=np.float64)


def context_of(spec: Spec, length: int, seed: int, gaps: str = "none") -> Context:
    """A series with all the covariates of `spec`, a fifth of them unknown."""
    random = np.random.default_rng(seed + 1)

    def covariates(*shape: int) -> NDArray[np.float32]:
        found: NDArray[np.float32] = random.normal(size=shape).astype(np.float32)
        found[random.random(shape) < 0.2] = np.nan
        return found

    exog = covariates(length, spec.exog_size)
    n_calendar = 2 * len(spec.calendar)
    exog[:, :n_calendar] = random.uniform(-1, 1, size=(length, n_calendar))
    futr = covariates(spec.horizon, spec.n_futr)
    stat = covariates(len(spec.stat_exog))
    for name, known in spec.categories.items():
        stat[spec.stat_exog.index(name)] = random.choice([*range(len(known)), np.nan])
    return Context(values(length, seed, gaps), exog, futr, stat)


def steps_of(*contexts: Context) -> Steps:
    """Contexts of one length as steps."""
    y = torch.from_numpy(np.stack([context.y for context in contexts]))
    return Steps(y, torch.from_numpy(np.stack([context.exog for context in contexts])))


def stat_of(*contexts: Context) -> torch.Tensor:
    return torch.from_numpy(np.stack([context.stat for context in contexts]))


def futr_of(*contexts: Context) -> torch.Tensor:
    return torch.from_numpy(np.stack([context.futr for context in contexts]))


def assert_same(found: Tensor, expected: Tensor, scale: float = 1.0) -> None:
    """Equal to 1e-5 of the value, or of what the window moves by."""
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * scale, equal_nan=True)


def scale_of(steps: Steps) -> float:
    """The largest value of a series, or one where there is none."""
    return float(steps.y.abs().nan_to_num(0.0).amax()) if steps.y.numel() else 1.0
