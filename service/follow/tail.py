"""A file that grows, is rotated and is truncated, followed by its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from io import FileIO
from pathlib import Path

from service.follow.lines import Cutter, Line

BLOCK = 2**16
"""Bytes that are read at once."""
_REMEMBERED = 64  # bytes before the place of reading, by which a file is known again


class Tail:
    """The lines of a file, from its first. follow: whether there may be more after its end.

    A file that was renamed is read to its end before the new one of its name is begun. One that was
    truncated, or written anew, is read from its start. note: told of both.
    """

    waits_on = None

    def __init__(self, path: Path, *, follow: bool, note: Callable[[str], None]) -> None:
        self.ended = False
        self._path = path
        self._follow = follow
        self._note = note
        self._file: FileIO | None = None
        self._cutter = Cutter(str(path))
        self._seen = b""
        self._absent = self._moved = False

    @property
    def left(self) -> tuple[int, int] | None:
        """Bytes that are not read yet, and all of them."""
        if self._file is None:
            return None
        size = os.fstat(self._file.fileno()).st_size
        return max(size - self._file.tell(), 0), size

    def read(self) -> Sequence[Line] | None:
        """Lines of the next bytes, None if there are none. Raises OSError.

        A missing file is waited for, if it is followed.
        """
        file = self._file or self._open()
        if file is None:
            return None
        if self._is_another(file):
            self._note(f"{self._path} was truncated; reading it from its start")
            return self._begin(file)
        data = file.read(BLOCK)
        if data:
            self._seen = (self._seen + data)[-_REMEMBERED:]
            self._moved = False
            return self._cutter.cut(data)
        if not self._follow:
            self.close()
            self.ended = True
            return self._cutter.rest()
        return self._next(file)

    def close(self) -> None:
        """Let go of the file; reading begins with the name's file again."""
        if self._file is not None:
            self._file.close()
        self._file, self._seen, self._moved = None, b"", False

    def _open(self) -> FileIO | None:
        try:
            self._file = FileIO(self._path)
        except FileNotFoundError:
            if not self._follow:
                raise FileNotFoundError(f"there is no file {self._path}") from None
            if not self._absent:
                self._note(f"there is no file {self._path}; waiting for it")
            self._absent = True
            return None
        self._absent = False
        return self._file

    def _is_another(self, file: FileIO) -> bool:
        """Whether the bytes before the place of reading are not those that were read."""
        seen = self._seen
        return os.pread(file.fileno(), len(seen), file.tell() - len(seen)) != seen

    def _begin(self, file: FileIO) -> Sequence[Line]:
        broken = self._cutter.broken()
        self._cutter = Cutter(str(self._path))
        self._seen = b""
        file.seek(0)
        return broken

    def _next(self, file: FileIO) -> Sequence[Line] | None:
        """At the end of the file: go to the new one of its name, if there is one.

        Its writer may go on a little in the old one: that is left when two looks found no more.
        """
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return None
        here = os.fstat(file.fileno())
        if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
            return None
        if not self._moved:
            self._moved = True
            return None
        self._note(f"{self._path} is a new file; reading it from its start")
        self.close()
        broken = self._cutter.broken()
        self._cutter = Cutter(str(self._path))
        return broken
