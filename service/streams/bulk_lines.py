"""Observations of many streams as JSON: a line each, or an array of them.

A line as most people write it is read in a microsecond and a half. Whatever looks otherwise goes
through the strict parser, which takes twenty and says what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

import orjson
from pydantic import ValidationError

from models.spec import Spec
from service.json_body import MAX_CONTAINERS, read_json
from service.problems import Fault, ProblemError, fault_of, invalid, problem
from service.streams.bulk_columns import Bulk, Columns, check_count, gathered
from service.streams.bulk_schema import MAX_NAME, StreamObservation
from service.streams.bulk_stamps import read_each
from service.streams.covariates import write_covariates
from service.streams.observation_request import LARGEST, check_names

_MAX_LINE = 128 * 2**10
"""Bytes of a line: 512 covariates with the longest names are less."""
_MOST_FAULTS = 4
"""Faults that are named of one line: 100,000 lines may have them."""


class _Refused(NamedTuple):
    """A line that is no observation, and the stream that it is about, if it says so much."""

    unique_id: str | None
    error: ProblemError


class _Read(NamedTuple):
    """An observation. quotes: how many quotation marks spell it, if it has no key twice."""

    unique_id: str
    ds: str | int
    y: float
    exog: Mapping[str, float | None]
    quotes: int


_NONE: Mapping[str, float | None] = {}
_NOTHING = _Read("", "", math.nan, _NONE, 0)


def read_lines(body: bytes, spec: Spec, most: int) -> Bulk:
    """NDJSON; blank lines are left out. Raises 413 for more than `most` lines."""
    check_count(body.count(b"\n"), most)
    lines = [_line(text) for text in body.split(b"\n") if text and not text.isspace()]
    check_count(len(lines), most)
    return _bulk(lines, spec)


def read_array(body: bytes, spec: Spec, most: int) -> Bulk:
    """`{"observations": […]}`. Raises 400, 413 and 422 for a body that is something else."""
    if body.count(b"{") + body.count(b"[") > MAX_CONTAINERS:
        raise problem(413, "too-large", f"more than {MAX_CONTAINERS} JSON arrays and objects")
    lines = _usual_array(body)
    if lines is None:
        value = read_json(body)
        if not isinstance(value, dict) or value.keys() != {"observations"}:
            reason = "must be an object with observations, and nothing else"
            raise invalid([Fault(field="body", reason=reason)])
        values = value["observations"]
        if not isinstance(values, list):
            raise invalid([Fault(field="observations", reason="must be a list")])
        return read_values(values, spec, most)
    check_count(len(lines), most)
    return _bulk(lines, spec)


def read_values(values: Sequence[Any], spec: Spec, most: int) -> Bulk:
    """Values of JSON that `read_json` read, each an observation. Raises 413."""
    check_count(len(values), most)
    return _bulk([_usual(each) or _strict(each) for each in values], spec)


def _line(text: bytes) -> _Read | _Refused:
    if len(text) > _MAX_LINE:
        return _Refused(None, problem(413, "too-large", f"more than {_MAX_LINE} bytes in a line"))
    try:
        read = _usual(orjson.loads(text))
    except orjson.JSONDecodeError:
        read = None
    if read is not None and b"\\" not in text and text.count(b'"') == read.quotes:
        return read
    try:
        value = read_json(text)
    except ProblemError as error:
        return _Refused(None, error)
    return _strict(value)


def _usual_array(body: bytes) -> list[_Read | _Refused] | None:
    if b"\\" in body:
        return None
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if type(value) is not dict or len(value) != 1:
        return None
    values = value.get("observations")
    if type(values) is not list:
        return None
    lines: list[_Read | _Refused] = []
    written = 2
    for each in values:
        read = _usual(each)
        if read is None:
            return None
        lines.append(read)
        written += read.quotes
    return lines if body.count(b'"') == written else None


def _usual(value: Any) -> _Read | None:
    """What a value says, if it is an observation beyond doubt.

    A key that occurs twice is not seen any more, but its quotation marks are: `quotes` are those
    of the keys and texts that are left.
    """
    if type(value) is not dict:
        return None
    name, ds, y = value.get("unique_id"), value.get("ds"), value.get("y", "")
    if not (_is_name(name) and _is_stamp(ds) and _is_number(y, LARGEST)):
        return None
    number = math.nan if y is None else float(y)
    quotes = 10 if type(ds) is str else 8
    if len(value) == 3:
        return _Read(name, ds, number, _NONE, quotes)
    exog = value.get("exog")
    if len(value) != 4 or type(exog) is not dict or len(exog) > 512:
        return None
    if not all(len(key) <= 128 and _is_number(each, LARGEST) for key, each in exog.items()):
        return None
    numbers = {key: None if each is None else float(each) for key, each in exog.items()}
    return _Read(name, ds, number, numbers, quotes + 2 + 2 * len(numbers))


def _is_name(value: Any) -> TypeGuard[str]:
    return type(value) is str and 0 < len(value) <= MAX_NAME and value.isprintable()


def _is_stamp(value: Any) -> TypeGuard[str | int]:
    return type(value) is int or (type(value) is str and len(value) <= 64)


def _is_number(value: Any, most: float) -> bool:
    if value is None:
        return True
    return (type(value) is float or type(value) is int) and -most <= value <= most


def _strict(value: Any) -> _Read | _Refused:
    """What a value says, or what is wrong with it."""
    try:
        one = StreamObservation.model_validate(value)
    except ValidationError as error:
        name = value.get("unique_id") if isinstance(value, dict) else None
        found = error.errors(include_url=False, include_context=False, include_input=False)
        faults = [_fault(each) for each in found[:_MOST_FAULTS]]
        return _Refused(name if _is_name(name) else None, invalid(list(dict.fromkeys(faults))))
    y = math.nan if one.y is None else one.y
    return _Read(one.unique_id, one.ds, y, one.exog, 0)


def _fault(error: Mapping[str, Any]) -> Fault:
    if error["type"] != "missing" and error["loc"][:1] == ("ds",):
        return Fault(field="ds", reason="must be an ISO 8601 time or a whole number")
    return fault_of(error, {})


def _bulk(lines: Sequence[_Read | _Refused], spec: Spec) -> Bulk:
    columns = Columns()
    stamps: list[str | int] = []
    names = spec.hist_exog + spec.futr_exog
    wanted = set(names)
    exog: list[str] = []
    for line, each in enumerate(lines):
        columns.names.append(each.unique_id)
        read = each if isinstance(each, _Read) else _NOTHING
        if isinstance(each, _Refused):
            columns.refused[line] = each.error
        columns.y.append(read.y)
        stamps.append(read.ds)
        if wanted or read.exog:
            if read.exog.keys() != wanted and line not in columns.refused:
                columns.refused[line] = _other_covariates(read.exog, names)
            exog.append(write_covariates(read.exog) or "")
    if wanted:
        columns.exog = exog
    stamped = read_each(spec.timeline, stamps)
    for line, reason in stamped.faults.items():
        columns.refuse(line, "ds", reason)
    return gathered(columns, stamped.ds)


def _other_covariates(given: Mapping[str, object], names: Sequence[str]) -> ProblemError:
    try:
        check_names("exog", given, names)
    except ProblemError as error:
        return error
    raise AssertionError("they are the wanted ones")
