"""Logs: a line of JSON an event, on standard error, those of libraries included."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, BinaryIO, cast

import orjson
import structlog

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(level: str) -> None:
    """Log events of `level` and worse. For the process that serves; importing changes nothing."""
    least = logging.getLevelNamesMapping()[level.upper()]
    render = structlog.processors.JSONRenderer(serializer=_line)
    stream = cast("BinaryIO", _Expendable(sys.stderr.buffer))
    structlog.configure(
        processors=[*_SHARED, structlog.processors.dict_tracebacks, render],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.BytesLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.dict_tracebacks,
                structlog.processors.JSONRenderer(serializer=_text),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(least, logging.INFO), force=True)


class _Expendable:
    """A stream that may be lost: work goes on where the log's disk is full or its reader is gone.

    What could not be flushed waits, up to the stream's buffer, and the lines after it are dropped.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(line)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def _line(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=_shown)


def _text(event: Any, **_: Any) -> str:
    return _line(event).decode()


def _shown(value: object) -> str:
    return repr(value)[:500]
