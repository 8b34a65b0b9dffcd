"""A folder into which files are put: each is read once, in the order of their names."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from service.follow.lines import Line
from service.follow.tail import Tail

ENDINGS = (".csv", ".tsv", ".txt", ".ndjson", ".jsonl")
"""Of the files that are read; hidden ones and folders are not."""
_SETTLED_SECONDS = 1.0

_Mark = tuple[int, int, int]
"""Of a file's state: its inode, its size, and when it was written last."""


class Folder:
    """The lines of a folder's files, one file after the other.

    follow: whether more files may come. Then a file is read when it has not changed for a second,
    and read again if it changes afterwards: what was sent already is a duplicate to the service.
    """

    waits_on = None

    def __init__(self, path: Path, *, follow: bool, note: Callable[[str], None]) -> None:
        self.ended = False
        self._path = path
        self._follow = follow
        self._note = note
        self._read: dict[str, _Mark] = {}
        self._seen: dict[str, tuple[_Mark, float]] = {}
        self._looked = float("-inf")
        self._present: Tail | None = None

    @property
    def left(self) -> tuple[int, int] | None:
        """Bytes of the present file that are not read yet, and all of them."""
        return None if self._present is None else self._present.left

    def read(self) -> Sequence[Line] | None:
        """Lines of the next bytes, None if there are none. Raises OSError."""
        if self._present is None:
            self._present = self._next()
        if self._present is None:
            return None
        try:
            lines = self._present.read()
        except FileNotFoundError:  # somebody took it away
            self._present = None
            return ()
        if self._present.ended:
            self._present = None
        return lines

    def close(self) -> None:
        """Let go of the present file."""
        if self._present is not None:
            self._present.close()

    def _next(self) -> Tail | None:
        """The first file by name that is to be read."""
        now = time.monotonic()
        if self._follow and now - self._looked < _SETTLED_SECONDS:
            return None
        self._looked = now
        marks = self._marks()
        self._read = {name: mark for name, mark in self._read.items() if name in marks}
        waiting = [name for name, mark in sorted(marks.items()) if self._read.get(name) != mark]
        self._seen = {
            name: before
            if (before := self._seen.get(name)) and before[0] == marks[name]
            else (marks[name], now)
            for name in waiting
        }
        if not waiting:
            self.ended = not self._follow
            return None
        name = waiting[0]
        if self._follow and now - self._seen[name][1] < _SETTLED_SECONDS:
            return None
        self._looked = float("-inf")  # there may be another to read at once
        path = self._path / name
        if name in self._read:
            self._note(f"{path} has changed; reading it again")
        self._read[name] = marks[name]
        return Tail(path, follow=False, note=self._note)

    def _marks(self) -> dict[str, _Mark]:
        """Every file that is to be read, by name."""
        marks = {}
        for path in self._path.iterdir():
            if path.suffix.lower() not in ENDINGS or path.name.startswith("."):
                continue
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            if path.is_file():
                marks[path.name] = state.st_ino, state.st_size, state.st_mtime_ns
        return marks
