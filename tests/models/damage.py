"""What disks, networks and hasty hands do to a bundle, by name: no digest is made to fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from models.bundle import DIGEST, MANIFEST
from models.manifest import WEIGHTS

FILES = (MANIFEST, DIGEST, WEIGHTS)
Corruption = Callable[[Path, np.random.Generator], None]


def damage() -> Iterator[tuple[str, Corruption]]:
    """Each takes a folder and a seeded generator."""
    yield from _bytes_changed()
    yield from _folders()


def _bytes_changed() -> Iterator[tuple[str, Corruption]]:
    for name, times in ((MANIFEST, 50), (WEIGHTS, 50), (DIGEST, 15)):
        for k in range(times):
            yield f"flip-{name}-{k}", _bytes(name, _flip)
    for name in FILES:
        for k in range(8):
            yield f"cut-{name}-{k}", _bytes(name, lambda b, r: b[: r.integers(len(b))])
            yield (
                f"append-{name}-{k}",
                _bytes(name, lambda b, r: b + r.bytes(int(r.integers(1, 99)))),
            )
            yield f"swap-bytes-{name}-{k}", _bytes(name, _transpose)
        yield f"empty-{name}", _bytes(name, lambda b, r: b"")
        yield f"zeroes-{name}", _bytes(name, lambda b, r: bytes(len(b)))


def _flip(content: bytes, random: np.random.Generator) -> bytes:
    at = int(random.integers(len(content)))
    return content[:at] + bytes([content[at] ^ (1 << int(random.integers(8)))]) + content[at + 1 :]


def _transpose(content: bytes, random: np.random.Generator) -> bytes:
    while True:
        a, b = sorted(random.integers(len(content), size=2).tolist())
        if content[a] != content[b]:
            return b"".join(
                (
                    content[:a],
                    content[b : b + 1],
                    content[a + 1 : b],
                    content[a : a + 1],
                    content[b + 1 :],
                )
            )


def _bytes(name: str, change: Callable[[bytes, np.random.Generator], bytes]) -> Corruption:
    def corrupt(folder: Path, random: np.random.Generator) -> None:
        path = folder / name
        path.write_bytes(change(path.read_bytes(), random))

    return corrupt


def _folders() -> Iterator[tuple[str, Corruption]]:
    def removed(name: str) -> Corruption:
        return lambda folder, random: (folder / name).unlink()

    def linked(name: str) -> Corruption:
        def corrupt(folder: Path, random: np.random.Generator) -> None:
            elsewhere = folder.parent / "elsewhere"
            (folder / name).rename(elsewhere)
            (folder / name).symlink_to(elsewhere)

        return corrupt

    def replaced(name: str, make: Callable[[Path], None]) -> Corruption:
        def corrupt(folder: Path, random: np.random.Generator) -> None:
            (folder / name).unlink()
            make(folder / name)

        return corrupt

    def extra(name: str) -> Corruption:
        def corrupt(folder: Path, random: np.random.Generator) -> None:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(b"import os")

        return corrupt

    for name in FILES:
        yield f"missing-{name}", removed(name)
        yield f"symlink-{name}", linked(name)
        yield f"dangling-{name}", replaced(name, lambda path: path.symlink_to("/nowhere/at/all"))
        yield f"folder-{name}", replaced(name, Path.mkdir)
        yield f"pipe-{name}", replaced(name, os.mkfifo)
        yield f"device-{name}", replaced(name, lambda path: path.symlink_to("/dev/zero"))
    for name in ("model.pkl", ".hidden", "__init__.py", "weights.bin", "sub/weights.safetensors"):
        yield f"extra-{name}", extra(name)
    yield "sparse-terabyte", lambda folder, random: os.truncate(folder / WEIGHTS, 2**40)
