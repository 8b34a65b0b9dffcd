"""From a source to a service and to whoever watches, until the source or a person ends it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from service.follow.api import reason_of
from service.follow.lines import Line, Source
from service.follow.posting import Poster, Result
from service.follow.rows import BadLineError, Reader, Row
from service.follow.stop import Stop, StoppedError

_LOOK_SECONDS = 0.25
_TELL_SECONDS = 5.0

Say = Callable[[Sequence[Row], Sequence[Result]], str]


@dataclass(slots=True)
class Tally:
    """What has been done. unfinished: whether it ended with lines read that are not judged."""

    lines: int = 0
    taken: int = 0
    duplicates: int = 0
    bad: int = 0
    refused: int = 0
    streams: set[str] = field(default_factory=set)
    unfinished: bool = False

    def __str__(self) -> str:
        words = [
            f"{_count(self.taken, 'observation')} of {_count(len(self.streams), 'stream')} taken",
            f"{self.duplicates:,} of them known already" if self.duplicates else "",
            f"{_count(self.bad, 'line')} bad" if self.bad else "",
            f"{self.refused:,} refused" if self.refused else "",
        ]
        return f"{_count(self.lines, 'line')} read; " + ", ".join(word for word in words if word)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


@dataclass(frozen=True, slots=True)
class Outputs:
    """say: answers as they are printed; write: prints them; note: tells what is not an answer."""

    say: Say
    write: Callable[[str], None]
    note: Callable[[str], None]


class Following:
    """One source to one service. tally: kept while it runs; most: observations in a request."""

    def __init__(
        self,
        source: Source,
        reader: Reader,
        poster: Poster,
        outputs: Outputs,
        tally: Tally,
        *,
        most: int,
    ) -> None:
        self.tally = tally
        self._source = source
        self._reader = reader
        self._poster = poster
        self._outputs = outputs
        self._most = most
        self._told = time.monotonic()

    def run(self, stop: Stop) -> None:
        """Until the source ends or a stop is wanted.

        Raises StoppedError where lines are left
        that are not answered, ServiceError, OSError.
        """
        source = self._source
        waits_on = () if source.waits_on is None else (source.waits_on,)
        while not stop.wanted and not source.ended:
            lines = source.read()
            if lines is None:
                stop.wait(_LOOK_SECONDS, *waits_on)
            elif lines:
                self._send(lines, stop)

    def _send(self, lines: Sequence[Line], stop: Stop) -> None:
        rows = self._rows(lines)
        while part := list(itertools.islice(rows, self._most)):
            if stop.wanted:
                raise StoppedError
            results = self._poster.post(part)
            self._count(part, results)
            self._outputs.write(self._outputs.say(part, results))
            self._tell()

    def _rows(self, lines: Sequence[Line]) -> Iterator[Row]:
        for line in lines:
            self.tally.lines += 1
            try:
                row = self._reader.read(line)
            except BadLineError as error:
                self.tally.bad += 1
                self._outputs.note(f"{line}: {error}")
                continue
            if row is not None:
                yield row

    def _count(self, rows: Sequence[Row], results: Sequence[Result]) -> None:
        tally = self.tally
        for row, result in zip(rows, results, strict=True):
            if result["status"] == 200:
                tally.taken += 1
                tally.duplicates += bool(result.get("duplicate"))
                tally.streams.add(row.unique_id)
            else:
                tally.refused += 1
                self._outputs.note(f"{row.line}: {row.unique_id}: refused: {reason_of(result)}")

    def _tell(self) -> None:
        """How far it is, now and then, while there is much to read."""
        now = time.monotonic()
        left = self._source.left
        if now - self._told >= _TELL_SECONDS and left is not None and left[0]:
            self._told = now
            self._outputs.note(f"{1 - left[0] / left[1]:.0%} read; {self.tally}")
