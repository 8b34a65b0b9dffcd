"""What of a served model a sender of observations has to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Model:
    """counted: whether its steps are whole numbers; zone: of times that are written without one.

    exog: its covariates that change with time.
    """

    counted: bool
    zone: tzinfo
    exog: Sequence[str]


def model_of(champion: Mapping[str, Any]) -> Model:
    """From what the service says of a version. Raises KeyError, ValueError for something else."""
    zone = champion["timezone"]
    return Model(
        counted=champion["kind"] == "integer",
        zone=UTC if zone == "UTC" else ZoneInfo(zone),
        exog=(*champion["hist_exog"], *champion["futr_exog"]),
    )


def with_offset(text: str, zone: tzinfo) -> str:
    """A time with its offset from UTC: its own, or the zone's. What is no time stays as it is.

    Raises ValueError for a time that the zone's clock skips or has twice.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    if at.tzinfo is not None:
        return text
    local = at.replace(tzinfo=zone)
    if local.utcoffset() != local.replace(fold=1).utcoffset():
        raise ValueError(f"{text} is skipped or repeated by the clock of {zone}")
    return local.isoformat()
