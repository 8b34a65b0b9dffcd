"""What a retraining fits: what was said, and for the rest what the champion is."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.spec import Cell, Spec
from training.cell_choice import DEFAULT

Length = Annotated[int, Field(ge=1)]


class Options(BaseModel):
    """What `gatecast schedule set` and `gatecast retrain` take; None leaves it to the champion.

    cells: those that are fitted. freq, timezone, columns, hist_exog, futr_exog, stat_exog: how the
    source is read, as by `training.sources.load`. holidays: whose (`training.holidays`). n_windows,
    step_size: of the backtest, which is kept from the fits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizon: Length | None = None
    season: tuple[Length, ...] | None = None
    cells: tuple[Cell, ...] | None = None
    preset: Literal["textbook"] | None = None
    freq: str | None = None
    timezone: str | None = None
    columns: str = ""
    hist_exog: tuple[str, ...] | None = None
    futr_exog: tuple[str, ...] | None = None
    stat_exog: tuple[str, ...] | None = None
    holidays: str | None = None
    n_windows: Length | None = None
    step_size: Length | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    threads: Annotated[int, Field(ge=0, le=256)] = 1

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.preset is not None and self.cells is not None:
            raise ValueError("a preset has a cell of its own: leave out --cell")
        return self

    def after(self, champion: Spec | None) -> Self:
        """The same, with what was left open taken from the champion's spec.

        Raises ValueError where there is neither a horizon nor a champion.
        """
        if champion is None:
            if self.horizon is None and self.preset is None:
                raise ValueError("the task has no champion yet: say how far to forecast, --horizon")
            return self.model_copy(update={"cells": self.cells or DEFAULT.cells})
        timeline = champion.timeline
        timed = timeline.kind == "time"
        inherited = {
            "horizon": champion.horizon if self.preset is None else None,
            "season": champion.season,
            "cells": DEFAULT.cells,
            "freq": timeline.freq if timeline.freq != "1" else None,
            "timezone": timeline.timezone if timed else None,
            "hist_exog": champion.hist_exog,
            "futr_exog": champion.futr_exog,
            "stat_exog": champion.stat_exog,
            "holidays": champion.holidays.place if champion.holidays else None,
        }
        return self.model_copy(
            update={k: v for k, v in inherited.items() if getattr(self, k) is None}
        )
