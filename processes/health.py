"""Whether something is well, as an exit status: what containers' health checks run.

python -m processes.health http://127.0.0.1:8000/livez     it answers 200
python -m processes.health store                            the store that the settings name
"""

from __future__ import annotations

import sys

import httpx

_SECONDS = 4.0


def healthy(target: str) -> bool:
    """Whether a URL (http, https, postgresql) answers, or the store where `target` says so."""
    if target == "store":
        return _store()
    if target.startswith("postgresql:"):
        return _postgres(target)
    try:
        return httpx.get(target, timeout=_SECONDS).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _store() -> bool:
    from store.database import open_database  # noqa: PLC0415 - not for who asks a URL
    from store.errors import StoreError  # noqa: PLC0415
    from store.settings import Settings  # noqa: PLC0415

    try:
        database = open_database(Settings().store_url)
        try:
            with database.reading():
                return True
        finally:
            database.close()
    except StoreError:
        return False


def _postgres(url: str) -> bool:
    import psycopg  # noqa: PLC0415 - an extra

    try:
        psycopg.connect(url, connect_timeout=int(_SECONDS)).close()
    except psycopg.Error:
        return False
    return True


if __name__ == "__main__":
    sys.exit(0 if healthy(sys.argv[1]) else 1)
