"""What changed from one version to another: the spec, the data, the code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.manifest import Manifest
from training.versions import Cost

_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Changes:
    """`name: before → after`, in the words of the manifests; empty where nothing changed."""

    spec: tuple[str, ...]
    data: tuple[str, ...]
    code: tuple[str, ...]


def changes(
    before: Manifest, after: Manifest, cost_before: Cost | None, cost_after: Cost | None
) -> Changes:
    """Of two manifests, and of the gatecast that made them, where it is known. Pure."""
    specs = [each.spec.model_dump(mode="json") | {"seed": each.seed} for each in (before, after)]
    data = [each.data.model_dump(mode="json") for each in (before, after)]
    code = [
        {**each.libraries, **_made_by(cost)}
        for each, cost in ((before, cost_before), (after, cost_after))
    ]
    return Changes(_different(*specs), _different(*data), _different(*code))


def _made_by(cost: Cost | None) -> dict[str, str | None]:
    return {} if cost is None else {"gatecast": cost.gatecast, "commit": cost.commit}


def _different(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    names = dict.fromkeys([*before, *after])
    return tuple(
        f"{name}: {_short(before.get(name))} → {_short(after.get(name))}"
        for name in names
        if before.get(name) != after.get(name)
    )


def _short(value: object) -> str:
    text = "unknown" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
