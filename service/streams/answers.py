"""What requests about streams are answered, from the engine's values to JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import orjson

from models.predict import point
from models.spec import Spec
from models.timeline import DsError
from service.forecast_answer import Columns, at_columns, columns
from service.problems import Fault, ProblemError, content_of, invalid
from service.slots import Loaded
from service.streams import refusals
from service.streams.arrival import Kind, Outcome
from service.streams.batch import Values
from service.streams.feeds import Event
from service.streams.jobs import Reply
from service.streams.stamps import Horizons, written


@dataclass(frozen=True, slots=True)
class Ask:
    """What of a forecast is wanted, and whether one is, of the version that `spec` is of.

    steps, level, quantiles: as the request has them. seconds: until the work must have begun.
    """

    wants: bool
    steps: int | None
    level: tuple[float, ...] | None
    quantiles: tuple[float, ...] | None
    seconds: float
    h: int
    columns: Columns
    spec: Spec = field(compare=False)

    def of(self, spec: Spec) -> Ask:
        """The same of another version. Raises 422 where it has not got that."""
        if spec is self.spec:
            return self
        return _held(
            spec,
            wants=self.wants,
            steps=self.steps,
            level=self.level,
            quantiles=self.quantiles,
            seconds=self.seconds,
        )


def _held(
    spec: Spec,
    *,
    wants: bool,
    steps: int | None,
    level: tuple[float, ...] | None,
    quantiles: tuple[float, ...] | None,
    seconds: float,
) -> Ask:
    """What is asked, if the version has it; raises 422 else."""
    h = spec.horizon if steps is None else steps
    if h > spec.horizon:
        further = "POST /v1/forecast goes further"
        reason = f"the model forecasts {spec.horizon} steps at most in a stream; {further}"
        raise invalid([Fault(field="h", reason=reason)])
    found = columns(spec, level=level, quantiles=quantiles)
    return Ask(wants, steps, level, quantiles, seconds, h, found, spec)


def ask(query: str, spec: Spec, *, wants: bool, seconds: float) -> Ask:
    """The query's `forecast`, `h`, `level`, `quantiles` and `timeout`. Raises 422.

    wants, seconds: where the query does not say.
    """
    steps, levels, quantiles = None, None, None
    if query == "forecast=true":  # as nearly all are
        return _held(spec, wants=True, steps=None, level=None, quantiles=None, seconds=seconds)
    for name, value in _pairs(query):
        if name == "forecast":
            wants = value == "true"
        elif name == "h":
            steps = int(value)
        elif name == "level":
            levels = _numbers(name, value, 100)
        elif name == "quantiles":
            quantiles = _numbers(name, value, 1)
        else:
            seconds = min(seconds, _numbers(name, value, 86_400)[0])
    if levels is not None and quantiles is not None:
        raise invalid([Fault(field="level", reason="level and quantiles exclude each other")])
    return _held(spec, wants=wants, steps=steps, level=levels, quantiles=quantiles, seconds=seconds)


def _pairs(query: str) -> list[tuple[str, str]]:
    """The parameters of a query, each of which exists."""
    pairs = pairs_of(query)
    for name, value in pairs:
        if _PARAMETERS.get(name, _NONE).fullmatch(value) is None:
            raise invalid([Fault(field=name[:64] if name.isidentifier() else "?", reason=_QUERY)])
    return pairs


_NONE = re.compile(r"(?!)")
_ANY = re.compile(r".*", re.DOTALL)
_PARAMETERS = {
    "forecast": re.compile(r"true|false"),
    "h": re.compile(r"0*[1-9][0-9]{0,4}", re.ASCII),
    "level": _ANY,
    "quantiles": _ANY,
    "timeout": _ANY,
}


def pairs_of(query: str) -> list[tuple[str, str]]:
    """A query's names and values. Raises 422 for more than any request has."""
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=16)
    except ValueError:
        raise invalid([Fault(field="?", reason="has too many parameters")]) from None


_QUERY = "is no parameter of this request, or has no value that it may have"


def _numbers(name: str, text: str, most: float) -> tuple[float, ...]:
    parts = text.split(",")
    try:
        numbers = tuple(float(part) for part in parts)
    except ValueError:
        numbers = (np.nan,)
    if len(numbers) > 99 or not all(0 < number < most for number in numbers):
        reason = f"must be numbers between 0 and {most}, separated by commas"
        raise invalid([Fault(field=name, reason=reason)])
    return numbers


class Writer:
    """Writes answers; the times of a horizon are written once for all streams that keep pace."""

    def __init__(self) -> None:
        self._horizons = Horizons()

    def forecast(
        self, loaded: Loaded, asked: Ask, ds: int | None, values: Values | None
    ) -> dict[str, Any] | None:
        """The forecast after `ds`, from values (horizon, outputs); None where there is none.

        None too where time ends before the horizon does, and where another version has come since
        the request was read, which has not got what is asked.
        """
        if values is None or ds is None:
            return None
        spec = loaded.spec
        try:
            asked = asked.of(spec)
        except ProblemError:
            return None
        h = asked.h
        values = values[:h]
        try:
            times = self._horizons.after(spec.timeline, ds, h)
        except DsError:
            return None
        answer = {"ds": times, "mean": np.ascontiguousarray(point(spec, values))}
        rows = np.ascontiguousarray(at_columns(spec, values, asked.columns).T)  # (Q, h)
        named = dict(zip(asked.columns.names, rows))  # noqa: B905 - as many
        if not asked.columns.nested:
            return answer | named
        return answer | {"quantiles": named} if named else answer

    def one(self, reply: Reply, unique_id: str, asked: Ask, given: float | None) -> bytes:
        """The answer to one observation. Raises its problem where it was refused."""
        outcome = reply.outcomes[0]
        if not outcome.accepted:
            raise refused(outcome, reply, given)
        said = head_of(reply, unique_id) | result_of(outcome, reply.loaded)
        return self._with_forecast(said, reply, asked)

    def many(self, reply: Reply, unique_id: str, asked: Ask, given: list[float | None]) -> bytes:
        """The answer to several: a result each, with a status of its own."""
        results = [
            line_of(outcome, reply, value)
            for outcome, value in zip(reply.outcomes, given, strict=True)
        ]
        return self._with_forecast(head_of(reply, unique_id) | {"results": results}, reply, asked)

    def read(self, reply: Reply, unique_id: str, asked: Ask) -> bytes:
        """The forecast as it is now."""
        last = written(reply.loaded.spec.timeline, reply.head.ds)
        said = head_of(reply, unique_id) | {"last_ds": last}
        return self._with_forecast(said, reply, asked)

    def event(self, event: Event, asked: Ask) -> bytes:
        """An observation that was applied, and the forecast after it."""
        outcome, loaded = event.outcome, event.loaded
        said: dict[str, Any] = {
            "model": loaded.task,
            "version": loaded.version,
            "unique_id": event.key[1],
            **result_of(outcome, loaded),
            "warming": outcome.steps < loaded.spec.input_size,
            "forecast": self.forecast(loaded, asked, event.newest, event.values),
        }
        return dumped(said)

    def _with_forecast(self, said: dict[str, Any], reply: Reply, asked: Ask) -> bytes:
        if asked.wants:
            said["forecast"] = self.forecast(reply.loaded, asked, reply.head.ds, reply.values)
        return dumped(said)


def dumped(value: object) -> bytes:
    """JSON."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def head_of(reply: Reply, unique_id: str) -> dict[str, Any]:
    """What every answer begins with."""
    return {
        "model": reply.loaded.task,
        "version": reply.loaded.version,
        "unique_id": unique_id,
        "warming": reply.warming,
    }


def result_of(outcome: Outcome, loaded: Loaded) -> dict[str, Any]:
    """What became of an observation that the log has."""
    return {
        "ds": written(loaded.spec.timeline, outcome.ds),
        "position": outcome.seq,
        "duplicate": outcome.kind is Kind.DUPLICATE,
        "late": outcome.kind is Kind.REWOUND,
        "missing": outcome.missing,
    }


def line_of(outcome: Outcome, reply: Reply, given: float | None) -> dict[str, Any]:
    """One of several observations: a status, and what became of it or the problem that it has."""
    if outcome.accepted:
        return {"status": 200} | result_of(outcome, reply.loaded)
    return content_of(refused(outcome, reply, given).problem)


def refused(outcome: Outcome, reply: Reply, given: float | None) -> ProblemError:
    """Why an observation was not taken."""
    timeline, head = reply.loaded.spec.timeline, reply.head
    if outcome.kind is Kind.UNFIT:
        return refusals.unfit()
    if outcome.kind is Kind.ASTRAY:
        return refusals.astray(timeline, head, outcome.ds)
    ds = written(timeline, outcome.ds)
    if outcome.kind is Kind.CONFLICT:
        stored = outcome.stored
        return refusals.conflict(ds, None if stored is None or stored != stored else stored, given)  # noqa: PLR0124 - NaN
    return refusals.late(ds, refusals.expected(timeline, head), reply.options.rewind)


def status_of(reply: Reply, unique_id: str) -> dict[str, Any]:
    """A stream as it is."""
    head, timeline, options = reply.head, reply.loaded.spec.timeline, reply.options
    return head_of(reply, unique_id) | {
        "observations": head.seq,
        "last_ds": written(timeline, head.ds),
        "next_ds": refusals.expected(timeline, head),
        "since": None if head.ds is None else written(timeline, head.start),
        "steps": head.steps,
        "replayed": "exact" if head.exact else "memory",
        "rewind": options.rewind,
        "max_gap": options.max_gap,
        "ttl_hours": options.ttl_hours,
    }
