"""Streams of different lengths advanced together, by the fused kernel and without padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from .forecaster import Forecaster
from .state import State, Steps


def advanced(
    forecaster: Forecaster,
    state: State,
    y: Sequence[NDArray[np.float64]],
    exog: Sequence[NDArray[np.float32]],
) -> State:
    """Each row of `state` advanced over its own steps, as `Forecaster.advance` one by one would.

    y: for each row (T_i,), data units, NaN where nothing was observed; exog: for each row
    (T_i, exog_size), NaN where unknown. T_i may be 0 and lengths may come in any order; the states
    come in the order given. Between two lengths all rows that go on have every step, so each
    stretch is one call of the fused kernel and no padding enters any state. Raises ValueError where
    the number of rows is not the same in all, or a row of exog has another shape.
    """
    lengths = np.array([len(each) for each in y], dtype=np.int64)
    if not len(state) == len(y) == len(exog):
        raise ValueError(f"{len(state)} states, but {len(y)} rows of y and {len(exog)} of exog")
    width = forecaster.spec.exog_size
    if any(row.shape != (length, width) for row, length in zip(exog, lengths, strict=True)):
        raise ValueError(f"a row of exog is not as many steps as its y, {width} wide")
    if len(state) and (lengths == lengths[0]).all():  # as streams mostly are: one stretch
        return _over(forecaster, state, Steps(_stacked(y), _stacked(exog)))
    order = np.argsort(-lengths, kind="stable")  # longest first: those that go on lead
    going, done = state.take(torch.from_numpy(order)), []
    start = 0
    for length in np.unique(lengths):
        rows = order[: len(going)]
        steps = Steps(
            _stacked([y[row][start:length] for row in rows]),
            _stacked([exog[row][start:length] for row in rows]),
        )
        going = _over(forecaster, going, steps)
        more = int((lengths > length).sum())
        done.append(going.take(slice(more, None)))
        going = going.take(slice(0, more))
        start = length
    if not done:
        return state
    return State.concatenate(done[::-1]).take(torch.from_numpy(np.argsort(order, kind="stable")))


def _over(forecaster: Forecaster, state: State, steps: Steps) -> State:
    if len(steps) == 1:  # a single step has no use for the kernel's setup
        return forecaster.advance(state, steps.y[:, 0], steps.exog[:, 0])
    return forecaster.replay(state, steps)


def _stacked(rows: Sequence[NDArray[np.floating]]) -> torch.Tensor:
    return torch.from_numpy(np.stack(rows))
