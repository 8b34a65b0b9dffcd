"""What a process wrote, synced and sent, in its order, as `strace` tells it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CALLS = (
    "write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync,ftruncate,unlink,unlinkat,"
    "rename,renameat,renameat2"
)
OPTIONS = (
    "-f",
    "--seccomp-bpf",
    "-qq",
    "-yy",
    "-xx",
    "-s",
    "70000",
    "-e",
    "signal=none",
    "-e",
    f"trace={CALLS}",
)

_LINE = re.compile(r"(?P<pid>\d+) +(?P<call>\w+)\((?P<rest>.*)")
_RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. (?P<call>\w+) resumed>(?P<rest>.*)")
_FD = re.compile(r"\d+<(?P<path>[^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_RESULT = re.compile(r"= (-?\d+)[^=]*$")
_UNFINISHED = "<unfinished ...>"

Kind = Literal["write", "sync", "truncate", "unlink", "send", "other"]
_KINDS: dict[str, Kind] = {
    "pwrite64": "write",
    "pwritev": "write",
    "fsync": "sync",
    "fdatasync": "sync",
    "ftruncate": "truncate",
    "unlink": "unlink",
    "unlinkat": "unlink",
    "sendto": "send",
    "sendmsg": "send",
}


@dataclass(frozen=True, slots=True)
class Event:
    """A system call that succeeded.

    begun, done: places in the order in which calls began and ended, of all threads. path: of the
    file; empty for a socket. offset: of a write, or the size that a file is cut to.
    """

    kind: Kind
    begun: int
    done: int
    path: str
    data: bytes = b""
    offset: int = 0


def events(trace: Path) -> list[Event]:
    """The calls of a trace that was made with OPTIONS, by the order of their ends."""
    begun: dict[str, tuple[int, str, str]] = {}
    found: list[Event] = []
    with trace.open(encoding="ascii") as lines:
        for place, line in enumerate(lines):
            text = line.rstrip("\n")
            if match := _RESUMED.match(text):
                start, call, head = begun.pop(match["pid"])
                found += _event(call, head + match["rest"], start, place)
            elif match := _LINE.match(text):
                if text.endswith(_UNFINISHED):
                    rest = match["rest"].removesuffix(_UNFINISHED)
                    begun[match["pid"]] = place, match["call"], rest
                else:
                    found += _event(match["call"], match["rest"], place, place)
    return found


def _event(call: str, rest: str, begun: int, done: int) -> Iterator[Event]:
    result = _RESULT.search(rest)
    if result is None or int(result[1]) < 0:
        return
    texts = [_bytes(match) for match in _TEXT.finditer(rest)]
    kind = _KINDS.get(call, "other")
    if kind == "unlink":
        yield Event(kind, begun, done, texts[-1].decode())
        return
    fd = _FD.match(rest)
    path = "" if fd is None else _path(fd["path"])
    if kind == "other" and not path.startswith("/"):
        kind = "send"  # write and writev, to a socket
    arguments = rest[: result.start()].rstrip(" )").rsplit(", ", 1)
    at = int(arguments[-1]) if kind in ("write", "truncate") else 0
    yield Event(kind, begun, done, path, b"".join(texts)[: int(result[1]) or None], at)


def _bytes(match: re.Match[str]) -> bytes:
    assert not match[2], "strace cut a string short"
    return bytes.fromhex(match[1].replace("\\x", ""))


def _path(text: str) -> str:
    """A descriptor's file: strace writes it as it writes strings."""
    if text.startswith("\\x"):
        return bytes.fromhex(text.replace("\\x", "")).decode()
    return text
