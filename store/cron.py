"""When a cron expression comes due, on the clock of a time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = 5


def check_cron(expression: str, timezone: str) -> str:
    """The expression with its blanks put right and a macro written out.

    Raises ValueError for what is no cron expression of five fields, for one that never comes (the
    30th of February), and for a time zone that does not exist.
    """
    _check_zone(timezone)
    fields = _MACROS.get(expression.strip().lower(), expression).split()
    if len(fields) != _FIELDS:
        raise ValueError(
            f"{expression[:80]!r} is no cron expression: write minute, hour, day of month, month "
            "and day of week, such as '0 3 * * *', or @hourly, @daily, @weekly, @monthly, @yearly"
        )
    plain = " ".join(fields)
    try:
        upcoming = next(CronSim(plain, datetime.now(UTC)), None)
    except CronSimError as error:
        raise ValueError(f"cron expression {plain[:80]!r}: {str(error).lower()}") from None
    if upcoming is None:
        raise ValueError(f"cron expression {plain[:80]!r} never comes due")
    return plain


def _check_zone(timezone: str) -> None:
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone {timezone[:64]!r}: write Europe/Berlin") from None


def due_after(expression: str, timezone: str, moment: int) -> int | None:
    """The first due time after a moment, both in milliseconds since 1970; None if none ever comes.

    As Debian's cron has it: a time of day that is skipped when clocks are put forward comes right
    after the gap, one that comes twice when they are put back is due the first time only. Both are
    different for expressions whose minute or hour begins with `*`: those follow real time, and an
    hour that comes twice is due twice.
    """
    return next(_dues(expression, timezone, moment), None)


def dues_between(expression: str, timezone: str, after: int, until: int) -> Iterator[int]:
    """The due times after a moment, up to and including another; milliseconds since 1970."""
    return takewhile(lambda due: due <= until, _dues(expression, timezone, after))


def _dues(expression: str, timezone: str, moment: int) -> Iterator[int]:
    start = datetime.fromtimestamp(moment // 1000, UTC).astimezone(ZoneInfo(timezone))
    for due in CronSim(expression, start):
        at = round(due.astimezone(UTC).timestamp()) * 1000
        if at > moment:  # all that a gap skipped come at its end, once
            moment = at
            yield at
