"""The stretch at each series' end that is not learnt from, and the loss on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.context import Context
from models.forecaster import Forecaster
from models.metrics import mase_scale, pinball, rmse
from models.predict import predict
from models.spec import Spec

_ENOUGH = 64
"""Windows that a panel of few series is given by holding back more than one a series, as long as
that is no more than a twelfth of it. Decision 32 has what fewer cost."""
_FEW = 8
"""Windows of a series that a sixth of it may be held back for."""
_MOST = 128
"""Windows that are looked at: a look is to cost little beside the batches between two."""
_SEEN = 1_024
"""Steps before an origin that a look reads, or two windows where those are more: a state forgets
what lies farther back, and to read three years of hours for each window took a quarter of a fit."""


_Window = tuple[Context, NDArray[np.float64], float]


@dataclass(frozen=True, slots=True)
class Validation:
    """Forecast origins behind what is learnt from; none where the series are too short or constant.

    ends: (n_series,) the leading steps of each series that are learnt from. contexts: V of them, of
    the newest steps before their origins; truth: (V, horizon) and scale: (V,) in data units.
    """

    ends: NDArray[np.int64]
    contexts: tuple[Context, ...]
    truth: NDArray[np.float64]
    scale: NDArray[np.float64]

    def loss(self, forecaster: Forecaster) -> float:
        """Mean over windows of the scaled pinball loss, squared error for a point head.

        Infinite where a forecast is not finite; NaN where there are no windows.
        """
        values = predict(forecaster, self.contexts)
        levels = forecaster.spec.quantiles
        if levels:
            each = pinball(self.truth, values, levels, axis=-1) / self.scale
        else:
            each = rmse(self.truth, values[..., 0], axis=-1) ** 2 / self.scale**2
        if not each.size:
            return float("nan")
        return float(each.mean()) if np.isfinite(each).all() else float("inf")


def validation(spec: Spec, pasts: Sequence[Context], *, seed: int) -> Validation:
    """Hold back the last horizon of each series, or more of a few series, less of short ones.

    Raises ValueError where no series is left with two values to learn from.
    """
    season = spec.season[0] if spec.season else 1
    wanted = max(1, _ENOUGH // max(1, len(pasts)))
    stride = max(1, spec.horizon // 2)
    seen = max(_SEEN, 2 * spec.input_size)
    ends = np.zeros(len(pasts), dtype=np.int64)
    windows: list[_Window] = []
    for row, past in enumerate(pasts):
        length = past.y.shape[0]
        few = min(spec.horizon + stride * (_FEW - 1), length // 6)
        most = max(min(spec.horizon, length // 3), few, length // 12)
        held = min(spec.horizon + stride * (wanted - 1), most)
        ends[row] = length - held
        scale = _scale(past.y[: ends[row]], season)
        for origin in range(int(ends[row]), length - min(held, spec.horizon) + 1, stride):
            truth = np.full(spec.horizon, np.nan)
            ahead = past.y[origin : origin + spec.horizon]
            truth[: ahead.size] = ahead
            newest = past.y[max(0, origin - spec.input_size) : origin]
            if scale > 0 and np.isfinite(truth).any() and np.isfinite(newest).any():
                windows.append((until(spec, past, origin, most=seen), truth, scale))
    if not (ends >= 2).any():
        raise ValueError("no series is long enough to learn from")
    chosen = np.arange(len(windows))
    if len(windows) > _MOST:
        chosen = np.sort(np.random.default_rng(seed).choice(len(windows), _MOST, replace=False))
    return _held(spec, ends, [windows[i] for i in chosen])


def newest(spec: Spec, pasts: Sequence[Context]) -> Validation:
    """The last horizon of each series that is long enough for a whole window before it."""
    season = spec.season[0] if spec.season else 1
    ends = np.array([past.y.shape[0] - spec.horizon for past in pasts], dtype=np.int64)
    windows = [
        (until(spec, past, end), past.y[end:], _scale(past.y[:end], season))
        for past, end in zip(pasts, ends.tolist(), strict=True)
        if end >= spec.input_size
    ]
    return _held(spec, ends, [each for each in windows if each[2] > 0])


def until(spec: Spec, past: Context, origin: int, *, most: int | None = None) -> Context:
    """What is known of a series, whole in `past`, when its step `origin` is the first ahead.

    most: of the steps before it, the newest; None keeps all.
    """
    before = slice(0 if most is None else max(0, origin - most), origin)
    ahead = past.exog[origin : origin + spec.horizon, past.exog.shape[1] - spec.n_futr :]
    futr = np.concatenate([ahead, past.futr])[: spec.horizon]
    return Context(past.y[before], past.exog[before], futr, past.stat)


def _held(spec: Spec, ends: NDArray[np.int64], windows: Sequence[_Window]) -> Validation:
    return Validation(
        ends=ends,
        contexts=tuple(window[0] for window in windows),
        truth=np.array([window[1] for window in windows]).reshape(len(windows), spec.horizon),
        scale=np.array([window[2] for window in windows]),
    )


def _scale(y: NDArray[np.float64], season: int) -> float:
    """The mean absolute seasonal difference, or the spread of a series without one; else 0."""
    scale = float(mase_scale(y, season))
    if np.isfinite(scale):
        return scale
    observed = y[np.isfinite(y)]
    return float(observed.std()) if observed.size else 0.0
