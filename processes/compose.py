"""`docker-compose.yml` as programs of this machine: the same commands with the same settings.

Folders, secrets and addresses of containers become those of this machine by replacing their text;
nothing else is changed, so that what is run here is what the file says.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from processes.program import Program

ROOT = Path(__file__).parent.parent
FILE = ROOT / "docker-compose.yml"
SECRETS = "/run/secrets/"
_URL = re.compile(r"https?://\S+")


def services(file: Path = FILE) -> dict[str, dict[str, Any]]:
    """The services of a compose file, in the order in which they must start."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text("utf-8"))["services"]
    return {name: found[name] for name in _ordered(found)}


def mounts(service: Mapping[str, Any]) -> dict[str, str]:
    """Folder in the container to the name of the volume that is mounted there."""
    return {place: name for name, place in (each.split(":")[:2] for each in service["volumes"])}


def program(name: str, service: Mapping[str, Any], replaced: Mapping[str, str]) -> Program:
    """A service as a program. replaced: text of the file to text of this machine."""

    longest_first = sorted(replaced, key=len, reverse=True)
    any_of = re.compile("|".join(re.escape(there) for there in longest_first))

    def here(text: str) -> str:
        text = any_of.sub(lambda found: replaced[found.group()], text)
        return text.replace("$$", "$")  # how compose writes it

    command = [here(str(word)) for word in service["command"]]
    if command[0] == "gatecast":  # this repository's, whatever is installed
        command[:1] = [sys.executable, "-m", "gatecast"]
    environment = {key: here(str(value)) for key, value in service["environment"].items()}
    urls = [here(word) for word in service["healthcheck"]["test"] if _URL.fullmatch(str(word))]
    return Program(name, tuple(command), urls[0] if urls else None, environment)


def _ordered(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    done: list[str] = []

    def visit(name: str) -> Iterator[str]:
        for before in found[name].get("depends_on", ()):
            yield from visit(before)
        if name not in done:
            done.append(name)
            yield name

    for name in found:
        yield from visit(name)
