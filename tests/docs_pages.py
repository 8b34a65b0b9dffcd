"""The guides as data: their blocks of code, and how a page's blocks are run as one script."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent
GUIDES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PAGES = tuple(
    sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")], key=lambda page: page.as_posix())
)
RUN = ("sh", "python", "sql")

_MAKE = re.compile(r"(?:\w+=\S+ )*make(?: (?P<rest>.*))?")
_SEPARATOR = "\x1e"
_SECONDS = 900  # a fit of two cells on a machine that does other things too


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. line: of its fence, from 1; language: empty where none is named."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> tuple[Block, ...]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    opened: tuple[int, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), start=1):
        if not line.startswith("```"):
            lines.append(line)
        elif opened is None:
            opened, lines = (number, line[3:].strip()), []
        else:
            found.append(Block(page, *opened, "\n".join(lines)))
            opened = None
    assert opened is None, f"{page.name}: the block of line {opened} has no end"
    return tuple(found)


def make_commands(block: Block) -> tuple[list[str], ...]:
    """The words after `make` of each such line of a sh block."""
    matches = [_MAKE.fullmatch(line) for line in block.text.splitlines()]
    return tuple(shlex.split(match["rest"] or "") for match in matches if match)


def expectations(page: Path) -> tuple[tuple[Block, Block], ...]:
    """Blocks that are run, each with the `text` block after it that shows its output."""
    return tuple(
        (a, b) for a, b in pairwise(blocks(page)) if a.language in RUN and b.language == "text"
    )


def outputs(page: Path, folder: Path) -> dict[Block, str]:
    """Run a page's blocks in order, in an empty folder; what each of them printed.

    `gatecast` is this repository's, port 8000 a free one. Fails where any command fails, and ends
    what the page left running.
    """
    chosen = [block for block in blocks(page) if block.language in RUN]
    port = _free_port()
    mark = f"printf '{_SEPARATOR}'\n"
    script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n"
    script += mark.join(f"{_script(block)}\n" for block in chosen)
    _tools(folder / "bin")
    (folder / "work").mkdir()
    log = folder / "output"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [
                "bash",
                "-c",
                script.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace(
                    "--port 8000", f"--port {port}"
                ),
            ],
            cwd=folder / "work",
            env=_environment(folder / "bin", port),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    said = log.read_text("utf-8")
    assert status == 0, f"{page.name} ended with status {status}:\n{said}"
    return dict(zip(chosen, said.split(_SEPARATOR), strict=True))


def shows(expected: str, output: str) -> bool:
    """Whether an output holds what is expected; `…` stands for anything, blanks for any blanks."""
    parts = [r"\s+".join(re.escape(word) for word in part.split()) for part in expected.split("…")]
    return re.search(".*".join(parts), output, re.DOTALL) is not None


def _script(block: Block) -> str:
    if block.language == "sh":
        lines = block.text.splitlines()
        return "\n".join(line for line in lines if not _MAKE.fullmatch(line))
    code = block.text
    if block.language == "sql":  # such a block asks the database load.db that its page has made
        code = f"from training.sources import load\nload('sqlite:///load.db', query={code!r})"
    return f"python - <<'END_OF_BLOCK'\n{code}\nEND_OF_BLOCK"


def _tools(folder: Path) -> None:
    folder.mkdir()
    python = shlex.quote(sys.executable)
    for name, command in (("gatecast", f"{python} -m gatecast"), ("python", python)):
        tool = folder / name
        tool.write_text(f'#!/bin/sh\nexec {command} "$@"\n', "utf-8")
        tool.chmod(0o755)


def _environment(tools: Path, port: int) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GATECAST_", "MLFLOW_"))}
    return kept | {
        "PATH": f"{tools}{os.pathsep}{kept.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
        "GATECAST_PORT": str(port),
        "OMP_NUM_THREADS": "1",  # two processors that wait for each other are slower than one
        "COLUMNS": "120",
    }


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def links(page: Path) -> Iterator[tuple[str, str]]:
    """(path, anchor) of each link to a file of ours; path is empty for the page itself."""
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
