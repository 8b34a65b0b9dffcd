"""Files as a disk has them when the power goes: what was synced, and of the rest anything."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.trace import Event

_SECTOR = 512


@dataclass(slots=True)
class Disk:
    """The files of one folder.

    A name is there as soon as its file is made, and gone as soon as it is deleted.
    """

    folder: Path
    synced: defaultdict[str, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    pending: defaultdict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))

    def follow(self, event: Event) -> None:
        """Do as a call did."""
        path = Path(event.path)
        if path.parent != self.folder:
            return
        if event.kind in ("write", "truncate"):
            self.pending[path.name].append(event)
        elif event.kind == "sync":
            waiting = self.pending.pop(path.name, [])
            for each in waiting:
                if each.done < event.begun:
                    _apply(self.synced[path.name], each)
                else:
                    self.pending[path.name].append(each)
        elif event.kind == "unlink":
            self.synced.pop(path.name, None)
            self.pending.pop(path.name, None)

    def cut(self, rng: random.Random, into: Path) -> None:
        """The files after a loss of power: of what was not synced, any sectors were written."""
        for name in self.synced.keys() | self.pending.keys():
            content = bytearray(self.synced.get(name, b""))
            share = rng.choice((0.0, 0.5, 0.9, 1.0))
            for event in self.pending.get(name, ()):
                for part in _sectors(event):
                    if rng.random() < share:
                        _apply(content, part)
            (into / name).write_bytes(content)


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "truncate":
        del content[event.offset :]
        content.extend(bytes(event.offset - len(content)))
        return
    content.extend(bytes(max(0, event.offset - len(content))))
    content[event.offset : event.offset + len(event.data)] = event.data


def _sectors(event: Event) -> Iterator[Event]:
    if event.kind == "truncate":
        yield event
        return
    at = 0
    while at < len(event.data):
        end = min(len(event.data), at + _SECTOR - (event.offset + at) % _SECTOR)
        part = event.data[at:end]
        yield Event("write", event.begun, event.done, event.path, part, event.offset + at)
        at = end
