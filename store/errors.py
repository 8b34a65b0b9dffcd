"""What can go wrong with the store, told so that it may be shown to people."""

from __future__ import annotations


class StoreError(Exception):
    """Base of the store's errors. `reason` holds no secret and no part of what was stored.

    StoreError
      ├ StoreDownError     cannot be had now: ask again later
      └ SchemaError        the database's schema is not ours: a person must look at it
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StoreDownError(StoreError):
    """The database cannot be had now: it is down, locked, full, read-only or broken.

    unknown: a commit was asked for and no answer came, so it may or may not have happened. The log
    tells: read the tails again. Where it is false, nothing happened.
    """

    def __init__(self, reason: str, *, unknown: bool = False) -> None:
        super().__init__(reason)
        self.unknown = unknown


class SchemaError(StoreError):
    """The database's schema is newer than this program, half made, or another's."""
