"""Text of the command line as values."""

from __future__ import annotations

import re
from pathlib import Path

from models.spec import Spec
from training.holidays import with_holidays
from training.panel import Panel
from training.sources import Columns, load

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def words(text: str) -> tuple[str, ...]:
    """Comma-separated text as a tuple."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def numbers(text: str) -> tuple[int, ...]:
    """Comma-separated whole numbers from one, ascending. Raises ValueError otherwise."""
    try:
        found = sorted({int(word) for word in words(text)})
    except ValueError:
        found = [0]
    if any(number < 1 for number in found):
        raise ValueError(f"{text!r} is no list of whole numbers such as 24,168")
    return tuple(found)


def seconds(text: str) -> float:
    """A length of time such as 90s, 45m or 2h, in seconds. Raises ValueError otherwise."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    length = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not length:
        raise ValueError(f"{text!r} is no length of time such as 90s, 45m or 2h")
    return length


def columns(text: str) -> Columns:
    """`unique_id=meter,ds=time,y=load`, any of them, as the columns of a source."""
    named = dict(word.partition("=")[::2] for word in words(text))
    wrong = sorted(set(named) - {"unique_id", "ds", "y"}) or [k for k, v in named.items() if not v]
    if wrong:
        raise ValueError(
            f"{wrong[0]!r}: name columns as unique_id=meter,ds=time,y=load, any of the three"
        )
    return Columns(**named)


def source(text: str) -> str | Path:
    """A database's URL as it is, anything else as a path."""
    return text if "://" in text else Path(text)


def panel_of(
    data: str,
    *,
    freq: str | None,
    timezone: str | None,
    columns_text: str,
    hist_exog: str,
    futr_exog: str,
    stat_exog: str,
    holidays: str | None,
    query: str | None,
) -> Panel:
    """Read series as the options of the command line say."""
    panel = load(
        source(data),
        freq=freq,
        timezone=timezone,
        columns=columns(columns_text),
        hist_exog=words(hist_exog),
        futr_exog=words(futr_exog),
        stat_exog=words(stat_exog),
        query=query,
    )
    return with_holidays(panel, holidays)


def panel_for(spec: Spec, data: str, columns_text: str, query: str | None) -> Panel:
    """Read series as a forecaster's spec has them: its frequency, time zone and covariates."""
    return load(
        source(data),
        freq=None if spec.timeline.freq == "1" else spec.timeline.freq,
        timezone=spec.timeline.timezone if spec.timeline.kind == "time" else None,
        columns=columns(columns_text),
        hist_exog=spec.hist_exog,
        futr_exog=spec.futr_exog,
        stat_exog=spec.stat_exog,
        query=query,
    )
