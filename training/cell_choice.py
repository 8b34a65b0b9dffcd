"""Which forecasters a person may ask for by `--cell`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.spec import Cell


class CellChoice(StrEnum):
    """Which forecasters are fitted; `ensemble` is the mean of an LSTM and a GRU as one version."""

    LSTM = "lstm"
    GRU = "gru"
    BOTH = "both"
    ENSEMBLE = "ensemble"
    ALL = "all"
    ELMAN = "elman"

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells of the forecasters, in the order in which they are fitted."""
        return _CELLS[self]


_CELLS: dict[CellChoice, tuple[Cell, ...]] = {
    CellChoice.LSTM: ("lstm",),
    CellChoice.GRU: ("gru",),
    CellChoice.BOTH: ("lstm", "gru"),
    CellChoice.ENSEMBLE: ("ensemble",),
    CellChoice.ALL: ("lstm", "gru", "ensemble"),
    CellChoice.ELMAN: ("elman",),
}
DEFAULT = CellChoice.ALL
"""An ensemble beside its members costs no training of its own, and is mostly the best of them."""
