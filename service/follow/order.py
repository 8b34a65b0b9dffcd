"""What `gatecast stream` was asked for, carried out from beginning to end."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from service.follow.api import Api, ServiceError
from service.follow.folder import Folder
from service.follow.following import Following, Outputs, Say, Tally
from service.follow.lines import Source
from service.follow.piped import Piped
from service.follow.posting import Poster
from service.follow.rows import Reader
from service.follow.stop import Stop, StoppedError
from service.follow.tail import Tail

DONE, FAILED, SOME_REFUSED, INTERRUPTED = 0, 1, 3, 130
"""How the process ends; 130 is 128 + SIGINT, as shells have it."""

STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Order:
    """ask: the query of each request; rewind: of streams that are opened; most: observations in a
    request; columns: as `Reader` has them."""

    task: str
    source: str
    url: str
    unique_id: str | None
    follow: bool
    ask: Mapping[str, str]
    rewind: int
    columns: Mapping[str, str]
    most: int
    say: Say


def carry_out(order: Order, note: Callable[[str], None]) -> int:
    """Send, print, and say what was done; the process's exit status.

    note: told what is not an answer. Raises ValueError for a URL that is none.
    """
    with (
        contextlib.closing(Stop()) as stop,
        Api(order.url, stop, note) as api,
        contextlib.ExitStack() as closing,
    ):
        tally = Tally()
        try:
            source = _source(order, note, closing)  # may wait for a pipe's writer
            closing.callback(source.close)
            closing.enter_context(stop.heard())
            poster = Poster(api, order.task, ask=order.ask, rewind=order.rewind)
            reader = Reader(poster.model(), unique_id=order.unique_id, columns=order.columns)
            outputs = Outputs(order.say, _writer(stop), note)
            Following(source, reader, poster, outputs, tally, most=order.most).run(stop)
        except StoppedError:
            tally.unfinished = True
        except (ServiceError, OSError) as error:
            note(str(error))
            if tally.lines:
                note(str(tally))
            return FAILED
        note(str(tally))
        if tally.unfinished or not (order.follow or source.ended):
            return INTERRUPTED
        return SOME_REFUSED if tally.bad or tally.refused else DONE


def _source(order: Order, note: Callable[[str], None], closing: contextlib.ExitStack) -> Source:
    if order.source == STANDARD_INPUT:
        return Piped(sys.stdin.fileno(), "standard input")
    path = Path(order.source)
    if path.is_dir():
        return Folder(path, follow=order.follow, note=note)
    if path.exists() and not path.is_file():
        return Piped(closing.enter_context(path.open("rb", buffering=0)).fileno(), str(path))
    return Tail(path, follow=order.follow, note=note)


def _writer(stop: Stop) -> Callable[[str], None]:
    def write(text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:  # whoever read it has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            stop.want()

    return write
