"""Young windows: how much wider their intervals are made, by how much they have observed.

A window of a few values tells too little of how much its series moves: the network's quantiles, in
scales of the window, often lie far too near each other. How far from the median they have to be at
least is measured after the fit (`training.warming`) on series that were not learnt from, kept in
the bundle, and seen to after the network. Batch and streams read the number of observed values off
the same window, so they agree.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from .spec import Spec

MOST = 1e6
"""No offset is larger: beyond it nothing is known anyway, and forecasts stay finite."""

Knots = Annotated[
    tuple[Annotated[int, Field(ge=1, le=8192)], ...], Field(min_length=1, max_length=16)
]
Offset = Annotated[float, Field(ge=-MOST, le=MOST)]
Offsets = Annotated[tuple[Offset, ...], Field(max_length=99)]


class Warming(BaseModel):
    """How far a young window's quantiles are from its median at least, in its reference amounts.

    ages: observed values in a window, ascending; steps: steps ahead, ascending. offsets: for each
    age and step one for each quantile, from the median outwards; linear in between, in the
    logarithm of age and of step; beyond the ends as at the ends. A quantile that the network puts
    farther out stays there, and so does any from `full` observed values on. The reference amount is
    1 under the logarithm, where it stands for a share of the value; else it is the window's level,
    and `floor`, in data units, where the level is nearer to zero.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    full: Annotated[int, Field(ge=2, le=8192)]
    floor: Annotated[float, Field(gt=0.0, le=1e30)]
    ages: Knots
    steps: Knots
    offsets: Annotated[
        tuple[Annotated[tuple[Offsets, ...], Field(max_length=16)], ...], Field(max_length=16)
    ]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(a >= b for a, b in pairwise((*self.ages, self.full))):
            raise ValueError("ages must ascend, and lie below full")
        if any(a >= b for a, b in pairwise(self.steps)):
            raise ValueError("steps must ascend")
        return self

    def misfit(self, spec: Spec) -> str | None:
        """What does not go with `spec`, or None."""
        if self.full > spec.input_size or self.steps[-1] > spec.horizon:
            return "warming goes beyond the window or the horizon"
        shape = (len(self.ages), len(self.steps), len(spec.quantiles))
        if not spec.quantiles or {len(self.offsets)} != {shape[0]}:
            return f"warming offsets are not {shape}"
        if any(len(age) != shape[1] or {*map(len, age)} != {shape[2]} for age in self.offsets):
            return f"warming offsets are not {shape}"
        offsets, middle = np.array(self.offsets), spec.quantiles.index(0.5)
        if offsets[..., middle].any() or (np.diff(offsets) < 0).any():
            return "warming offsets do not ascend, through zero at the median"
        return None
