"""Lines as observations: CSV with a header, or a JSON object a line."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from service.follow.lines import Line
from service.follow.model import Model, with_offset

_SEPARATORS = ",;\t|"
_MISSING = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>"}
"""What stands for a value that was not observed, as `gatecast fit` has it."""
_TRUTH = {"true": 1.0, "false": 0.0}
_WHOLE = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_NAMES = ("unique_id", "ds", "y")


class BadLineError(Exception):
    """A line that is no observation."""


@dataclass(frozen=True, slots=True)
class Row:
    """An observation. body: as JSON, for the service."""

    line: Line
    unique_id: str
    y: float | None
    body: bytes


class Reader:
    """Reads the lines of one file after another. Knows the header of the present one.

    unique_id: the stream of lines that name none; columns: what `unique_id`, `ds` and `y` are
    called, where they are called otherwise.
    """

    def __init__(
        self,
        model: Model,
        *,
        unique_id: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        self._model = model
        self._unique_id = unique_id
        self._called = {name: name for name in _NAMES} | dict(columns or {})
        self._header: Sequence[str] | None = None
        self._separator = ","
        self._begun = self._unreadable = False

    def read(self, line: Line) -> Row | None:
        """An observation; None for a blank line, a header, and whatever follows none.

        Raises BadLineError.
        """
        if line.number == 1:
            self._begun = self._unreadable = False
        if line.fault is not None:
            raise BadLineError(line.fault)
        try:
            text = line.text.decode().strip()
        except UnicodeDecodeError:
            raise BadLineError("is no UTF-8") from None
        if not text or self._unreadable:
            return None
        first, self._begun = not self._begun, True
        if text.startswith("{"):
            return self._row(line, _object(text))
        if first and self._is_header(text):
            return None
        if self._header is None:
            self._unreadable = True
            raise BadLineError(
                f"is neither a header with {self._called['ds']} and {self._called['y']} "
                "nor a JSON object; the rest of the file is left out"
            )
        cells = _cells(text, self._separator)
        if cells == self._header:
            return None
        if len(cells) != len(self._header):
            raise BadLineError(f"has {len(cells)} cells, and the header {len(self._header)}")
        return self._row(line, dict(zip(self._header, cells, strict=True)))

    def _is_header(self, text: str) -> bool:
        separator = max(_SEPARATORS, key=text.count)
        names = _cells(text, separator)
        if not {self._called["ds"], self._called["y"]} <= set(names):
            return False
        if self._unique_id is None and self._called["unique_id"] not in names:
            self._unreadable = True
            raise BadLineError(f"has no column {self._called['unique_id']}: give --unique-id")
        if len(set(names)) < len(names):
            self._unreadable = True
            raise BadLineError("names a column twice; the file is left out")
        self._header, self._separator = names, separator
        return True

    def _row(self, line: Line, given: Mapping[str, Any]) -> Row:
        called, model = self._called, self._model
        for name in ("ds", "y"):
            if called[name] not in given:
                raise BadLineError(f"has no {called[name]}")
        named = given.get(called["unique_id"], "")
        unique_id = _name(self._unique_id if named in ("", None) else named, called["unique_id"])
        y = _number(given[called["y"]], called["y"])
        body: dict[str, Any] = {
            "unique_id": unique_id,
            "ds": _stamp(given[called["ds"]], called["ds"], model),
            "y": y,
        }
        if model.exog:
            exog = given["exog"] if isinstance(given.get("exog"), dict) else given
            known = {name: exog[name] for name in model.exog if name in exog}
            body["exog"] = {name: _number(value, name) for name, value in known.items()}
        return Row(line, unique_id, y, orjson.dumps(body))


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise BadLineError(f"is no JSON: {reason}") from None
    return dict(value)


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{_quoted(name)} comes twice")
        found[name] = value
    return found


def _cells(text: str, separator: str) -> list[str]:
    try:
        [cells] = csv.reader([text], delimiter=separator, strict=True)
    except (csv.Error, ValueError):
        raise BadLineError("is no line of CSV: a quotation mark is not closed") from None
    return [cell.strip() for cell in cells]


def _name(value: Any, field: str) -> str:
    if type(value) is int:
        return str(value)
    if type(value) is not str:
        raise BadLineError(f"has no {field}: give --unique-id")
    if not (0 < len(value) <= 256 and value.isprintable()):
        raise BadLineError(f"{field}: must be 1 to 256 printable characters")
    return value


def _stamp(value: Any, field: str, model: Model) -> str | int:
    if model.counted:
        if not _WHOLE.fullmatch(str(value)):
            raise BadLineError(f"{field}: {_quoted(value)} is no whole number")
        return int(value)
    if type(value) is not str or not value.isprintable():
        raise BadLineError(f"{field}: {_quoted(value)} is no time")
    try:
        return with_offset(value, model.zone)
    except ValueError as error:
        raise BadLineError(f"{field}: {error}") from None


def _number(value: Any, field: str) -> float | None:
    text = value.strip() if type(value) is str else value
    if text is None or text in _MISSING:
        return None
    text = _TRUTH.get(str(text).lower(), text)
    try:
        number = (
            math.inf if type(text) not in {str, int, float} or "_" in str(text) else float(text)
        )
    except (ValueError, OverflowError):
        number = math.inf
    if math.isinf(number):
        raise BadLineError(f"{field}: {_quoted(value)} is no number")
    return None if math.isnan(number) else number


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
