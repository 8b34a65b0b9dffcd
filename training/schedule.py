"""How training proceeds: its settings, and the learning rate of every step."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=1)]
Start = Literal["naive", "linear", "near"]


class Schedule(BaseModel):
    """Settings of one fit. With a seed and the thread count they decide the weights.

    A batch is `lanes` series of `steps` steps each, of which `origins`, drawn anew each time, are
    forecast from. `evaluations` look at the validation windows, evenly spread; the fit ends early
    when `patience` of them in a row bring nothing better.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    batches: Count = 1500
    lanes: Count = 64
    steps: Count = 240
    origins: Count = 60
    learning_rate: Annotated[float, Field(gt=0.0)] = 3e-3
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.5
    clip: Annotated[float, Field(gt=0.0)] = 1.0
    evaluations: Count = 12
    patience: Count = 6
    start: Start = "naive"
    """What the skip begins as: the seasonal naive forecast or the linear map that least squares
    find, either learnt on like everything else; or that map, which the fit stays near to, straying
    as far as there is data."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    threads: Annotated[int, Field(ge=0, le=256)] = 1
    """Threads that torch may use; 0 leaves torch's own choice. Two were slower on two cores:
    what they share out is small, and waiting for each other costs more."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.origins > self.steps:
            raise ValueError("origins must not exceed steps")
        return self

    def evaluates(self, batch: int) -> bool:
        """Whether the validation windows are looked at after `batch` batches."""
        every = max(1, self.batches // self.evaluations)
        return batch % every == 0 or batch == self.batches

    def rate(self, batch: int) -> float:
        """The learning rate of batch 0, 1, … (one cycle: Smith & Topin 2018).

        Up along a cosine from a 25th of `learning_rate` over the first tenth, then down to nothing.
        """
        rise = max(1.0, 0.1 * self.batches)
        if batch < rise:
            low = self.learning_rate / 25
            return low + (self.learning_rate - low) * (1 - math.cos(math.pi * batch / rise)) / 2
        share = (batch - rise) / max(1.0, self.batches - rise)
        return self.learning_rate * (1 + math.cos(math.pi * min(share, 1.0))) / 2 + 1e-9
