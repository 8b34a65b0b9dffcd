"""JSON that nobody vouches for: bounded before it is parsed, and with one meaning only."""

from __future__ import annotations

import json
import re
from typing import Any

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def parse(
    data: bytes, *, max_bytes: int, max_depth: int = 16, max_containers: int = 200_000
) -> Any:
    """The value that `data` spells.

    Size, depth and number of objects and arrays are checked before the parser builds any of them,
    since a few bytes of text become many of memory. Raises ValueError with the reason for anything
    over these bounds, a key that occurs twice in one object, NaN, Infinity, a number that overflows
    or text that is no JSON in UTF-8.
    """
    if len(data) > max_bytes:
        raise ValueError(f"{len(data)} bytes of JSON, more than {max_bytes}")
    _check_nesting(data, max_depth, max_containers)
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value that digests are taken of: sorted keys, no spaces, ASCII."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def _check_nesting(data: bytes, max_depth: int, max_containers: int) -> None:
    brackets = _STRING.sub(b"", data).translate(None, _NOT_BRACKETS)
    if len(brackets) > 2 * max_containers:
        raise ValueError(f"more than {max_containers} JSON objects and arrays")
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket in b"[{" else -1
        if depth > max_depth:
            raise ValueError(f"JSON nested deeper than {max_depth}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, item in pairs:
        if name in value:
            raise ValueError(f"JSON key {name[:80]!r} occurs twice")
        value[name] = item
    return value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:40]} overflows")
    return number
