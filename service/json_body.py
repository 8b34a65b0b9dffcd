"""A request body as JSON with one meaning only, bounded before anything is built from it."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from service.problems import Fault, ProblemError, fault_of, invalid, problem

MAX_CONTAINERS = 100_000
"""Arrays and objects a body may hold: three bytes of text become a hundred of memory."""
MAX_KEYS = 1_000
"""Keys that one object may hold."""


T = TypeVar("T", bound=BaseModel)


class _RefusedError(Exception):
    """Raised inside the parser; the text is for people."""


def read_json(body: bytes) -> Any:
    """The value that `body` spells.

    A hook on objects is all that the parser calls back, which keeps 350,000 numbers at 20 ms; that
    numbers are finite is left to the model that the value is validated against. Raises a problem:
    400 for text that is no JSON in UTF-8, 422 for a key that occurs twice, NaN or Infinity.
    """
    # Brackets inside strings count too: names with so many of them are no loss.
    if body.count(b"[") + body.count(b"{") > MAX_CONTAINERS:
        raise problem(413, "too-large", f"more than {MAX_CONTAINERS} JSON arrays and objects")
    try:
        return json.loads(
            body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse_constant
        )
    except _RefusedError as refused:
        raise invalid([Fault(field="body", reason=str(refused))]) from None
    except UnicodeDecodeError as error:
        raise _malformed(f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"no JSON: line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _malformed("JSON nested too deeply") from None
    except ValueError:  # Python's bound on the digits of a whole number
        raise _malformed("a whole number with too many digits") from None


def validated(model: type[T], value: object) -> T:
    """What was read, as a model has it. Raises 422, each fault with its field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [fault_of(each, {}) for each in error.errors(include_url=False)]
        raise invalid(list(dict.fromkeys(faults))) from None


def _malformed(detail: str) -> ProblemError:
    return problem(400, "malformed-body", detail)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_KEYS:
        raise _RefusedError(f"an object has more than {MAX_KEYS} keys")
    value = dict(pairs)
    if len(value) < len(pairs):
        raise _RefusedError("an object has the same key twice")
    return value


def _refuse_constant(name: str) -> Any:
    raise _RefusedError(f"{name} is no JSON number")
