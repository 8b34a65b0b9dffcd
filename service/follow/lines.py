"""Bytes as they come, cut into numbered lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

LONGEST = 128 * 2**10
"""Bytes of a line: as many as the service reads."""

_MARK = b"\xef\xbb\xbf"  # that some programs begin UTF-8 with


@dataclass(frozen=True, slots=True)
class Line:
    """A line without its end. place: the file's name; number: from 1; fault: why it is none."""

    place: str
    number: int
    text: bytes
    fault: str | None = None

    def __str__(self) -> str:
        return f"{self.place}:{self.number}"


class Source(Protocol):
    """Where lines come from. Reading never waits; only one thread reads."""

    @property
    def ended(self) -> bool:
        """Whether nothing will follow."""
        ...

    @property
    def waits_on(self) -> int | None:
        """A file descriptor that says when there is more; None where one has to look."""
        ...

    @property
    def left(self) -> tuple[int, int] | None:
        """Bytes of the present file that are not read yet, and all of them; None if unknown."""
        ...

    def read(self) -> Sequence[Line] | None:
        """Lines of the next bytes that are there; None if there are no bytes. Raises OSError."""
        ...

    def close(self) -> None:
        """Let go of what was opened."""
        ...


class Cutter:
    """Cuts one file's bytes at their line feeds. What follows the last is kept for later."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._number = 0
        self._rest = b""
        self._overlong = False

    def cut(self, data: bytes) -> list[Line]:
        """The lines that end in what has come."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [self._line(text) for text in whole]
        if len(self._rest) > LONGEST:
            self._rest, self._overlong = b"", True
        return lines

    def rest(self) -> list[Line]:
        """The last line, if it has no end: nothing follows it."""
        text, self._rest = self._rest, b""
        return [self._line(text)] if text or self._overlong else []

    def broken(self) -> list[Line]:
        """The same where the line's end was lost: half a number may be another number."""
        return [
            Line(line.place, line.number, b"", "is cut off before its end") for line in self.rest()
        ]

    def _line(self, text: bytes) -> Line:
        self._number += 1
        if self._number == 1:
            text = text.removeprefix(_MARK)
        if self._overlong or len(text) > LONGEST:
            self._overlong = False
            return Line(self._place, self._number, b"", f"has more than {LONGEST} bytes")
        return Line(self._place, self._number, text.removesuffix(b"\r"))
