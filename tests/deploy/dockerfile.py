"""The Dockerfile as data: its stages, and what each takes over from the one it is made from."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, replace

from processes.compose import ROOT

FILE = ROOT / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage. image: what it begins with, in the end. owned: folders that are its user's."""

    image: str
    user: str = ""
    copied: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    owned: tuple[str, ...] = ()
    command: tuple[str, ...] = field(default=())


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of each instruction, its lines joined."""
    lines = [line for line in FILE.read_text("utf-8").splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split()[0], line.partition(" ")[2]) for line in text.splitlines() if line.strip()]


def stages() -> dict[str, Stage]:
    """The stages by name."""
    found: dict[str, Stage] = {}
    arguments: dict[str, str] = {}
    name = ""
    for word, rest in instructions():
        if word == "ARG":
            key, _, value = rest.partition("=")
            arguments[key] = value
        elif word == "FROM":
            base, _, name = rest.partition(" AS ")
            for key, value in arguments.items():
                base = base.replace(f"${{{key}}}", value)
            found[name] = found.get(base, Stage(base))
        elif word == "USER":
            found[name] = replace(found[name], user=rest)
        elif word == "RUN":
            owned = re.search(r"install -d -o \S+ -g \S+ -m \d+ (.+)$", rest)
            found[name] = replace(
                found[name],
                run=(*found[name].run, rest),
                owned=(*found[name].owned, *(shlex.split(owned[1]) if owned else ())),
            )
        elif word == "COPY" and not rest.startswith("--from"):
            found[name] = replace(found[name], copied=(*found[name].copied, *rest.split()[:-1]))
        elif word == "CMD":
            found[name] = replace(found[name], command=tuple(re.findall(r'"([^"]*)"', rest)))
    return found
