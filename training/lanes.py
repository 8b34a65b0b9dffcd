"""Training chunks: series walked from a young state to their end, a chunk at a time.

A lane carries its recurrent state from chunk to chunk (truncated back-propagation through time), so
training sees states of every age that serving will see, and young, partly filled windows at each
start; long chunks are not needed for that, and cost more per step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.context import Context
from models.spec import Spec
from models.state import Steps
from training.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of every lane.

    young: (lanes,) bool, the lanes that begin a series here; stat: (lanes, S); steps: T of them;
    at: (K,) the steps that are forecast origins; target: (lanes, K, horizon) float64 in data units,
    NaN where there is none to learn; futr: (lanes, K, horizon, F).
    """

    young: Tensor
    stat: Tensor
    steps: Steps
    at: Tensor
    target: Tensor
    futr: Tensor


class Lanes:
    """An endless, seeded walk over training series.

    series: each one's whole past as a `Context`; ends: the number of leading values of each that
    may be learnt from. Series are drawn in proportion to the chunks they have.
    """

    def __init__(
        self, spec: Spec, series: Sequence[Context], ends: NDArray[np.int64], schedule: Schedule
    ) -> None:
        self.spec, self.n_steps, self.n_origins = spec, schedule.steps, schedule.origins
        self.random = np.random.default_rng(schedule.seed)
        margin = (
            schedule.steps + spec.horizon
        )  # a gather past a series' end meets NaN, never a neighbour
        lengths = np.minimum([context.y.shape[0] for context in series], ends)  # (n,)
        self.lengths = lengths
        self.offsets = np.concatenate([[0], np.cumsum(lengths + margin)])  # (n + 1,)
        self.y = torch.full((int(self.offsets[-1]),), torch.nan, dtype=torch.float64)
        self.exog = torch.full((len(self.y), spec.exog_size), torch.nan)
        for offset, length, context in zip(self.offsets, lengths, series, strict=False):
            self.y[offset : offset + length] = torch.from_numpy(context.y[:length])
            known = min(context.exog.shape[0], int(length) + spec.horizon)
            self.exog[offset : offset + known] = torch.from_numpy(context.exog[:known])
        self.stat = torch.from_numpy(np.stack([context.stat for context in series]))
        weight = np.ceil(np.maximum(lengths - 1, 0) / schedule.steps)
        self.chances = weight / weight.sum()
        self.lane_series = np.zeros(schedule.lanes, dtype=np.int64)
        self.lane_position = np.full(schedule.lanes, np.iinfo(np.int64).max, dtype=np.int64)

    def next(self) -> Chunk:
        """The next chunk of every lane; a lane at its series' end begins another."""
        young = self.lane_position >= self.lengths[self.lane_series] - 1
        n_young = int(young.sum())
        drawn = self.random.choice(len(self.lengths), size=n_young, p=self.chances)
        self.lane_series[young] = drawn
        # a random phase, so that no step of a series is always first or last in its chunk
        room = np.minimum(self.n_steps, np.maximum(self.lengths[drawn] // 4, 1))
        self.lane_position[young] = self.random.integers(0, room)
        first = torch.from_numpy(self.offsets[self.lane_series] + self.lane_position)  # (lanes,)
        index = first[:, None] + torch.arange(self.n_steps)  # (lanes, T)
        at = torch.from_numpy(
            np.sort(self.random.choice(self.n_steps, size=self.n_origins, replace=False))
        )
        ahead = (first[:, None] + at)[..., None] + 1 + torch.arange(self.spec.horizon)
        ahead = ahead.clamp_max(len(self.y) - 1)  # (lanes, K, horizon)
        n_futr = self.spec.n_futr
        chunk = Chunk(
            young=torch.from_numpy(young),
            stat=self.stat[self.lane_series],
            steps=Steps(self.y[index], self.exog[index]),
            at=at,
            target=self.y[ahead],
            futr=self.exog[ahead][..., self.spec.exog_size - n_futr :],
        )
        self.lane_position += self.n_steps
        return chunk

    def snapshot(self) -> dict[str, Any]:
        """Where the walk is, in JSON."""
        return {
            "random": self.random.bit_generator.state,
            "series": self.lane_series.tolist(),
            "position": self.lane_position.tolist(),
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go on from a `snapshot` of a walk over the same series."""
        self.random.bit_generator.state = snapshot["random"]
        self.lane_series = np.array(snapshot["series"], dtype=np.int64)
        self.lane_position = np.array(snapshot["position"], dtype=np.int64)
