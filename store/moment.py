"""What time it is, by the one clock that all who share a database share, and how it is written."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

_POSTGRES = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


def now_of(connection: Connection) -> int:
    """Milliseconds since 1970 by the database's clock: PostgreSQL's own, for SQLite this machine's.

    Leases are compared by it, so that hosts whose clocks differ agree on when one ends.
    """
    if connection.dialect.name == "postgresql":
        return int(connection.exec_driver_sql(_POSTGRES).scalar_one())
    return time.time_ns() // 1_000_000


def stamp(moment: int | None, timezone: str = "UTC") -> str | None:
    """Milliseconds since 1970 as ISO 8601 to the second, None for None."""
    if moment is None:
        return None
    zone = UTC if timezone == "UTC" else ZoneInfo(timezone)
    return datetime.fromtimestamp(moment / 1000, zone).isoformat(timespec="seconds")
