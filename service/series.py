"""From the series of a request to what a forecaster reads, each fault with its series and field.

The stamps of all series are read as one column and cut up after: a numpy call costs as much for ten
stamps as for a thousand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from models import iso
from models.beyond import steps_fed_back
from models.categories import stat_value
from models.context import Context, covariates_ahead, put_clock
from models.holidays import holidays_at
from models.spec import Spec
from models.timeline import Clock, ClockArray, DsError, Timeline
from service.forecast_request import ForecastRequest, SeriesBody
from service.problems import Fault, invalid, problem, shown

_LARGEST = float(np.finfo(np.float32).max)
_MOST_FAULTS = 100  # series with faults, after which no more are looked at


@dataclass(frozen=True, slots=True)
class Bounds:
    """Steps that a series, and all series of a request, may span."""

    points: int
    total_points: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request's series, ready to be forecast.

    contexts: one a series; stamps: each series' `h` forecast times, as they are written.
    """

    contexts: tuple[Context, ...]
    stamps: tuple[Sequence[str] | Sequence[int], ...]


class _FaultError(Exception):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def prepare(request: ForecastRequest, spec: Spec, bounds: Bounds) -> Prepared:
    """The contexts and forecast times of a request's series.

    Raises 422 with every series' first fault, 413 where the series together span too many steps.
    """
    h = request.h or spec.horizon
    written = _written_timeline(request, spec.timeline)
    clocks = _clocks(request, written)
    contexts: list[Context] = []
    ends: list[ClockArray] = []
    faults: list[Fault] = []
    points = 0
    for index, (series, clock) in enumerate(zip(request.series, clocks, strict=True)):
        try:
            context, end = _read(series, clock, spec, h, bounds.points)
        except _FaultError as fault:
            faults.append(_fault(series, index, fault.field, fault.reason))
            if len(faults) >= _MOST_FAULTS:
                break
            continue
        points += len(context.y) + steps_fed_back(spec, h)
        if points > bounds.total_points:
            reason = f"the series span more than {bounds.total_points} steps together"
            raise problem(413, "too-large", reason)
        contexts.append(context)
        ends.append(end)
    if faults:
        raise invalid(faults)
    text = written.format(np.concatenate(ends))
    return Prepared(tuple(contexts), tuple(text[i : i + h] for i in range(0, len(text), h)))


def _written_timeline(request: ForecastRequest, timeline: Timeline) -> Timeline:
    """The model's timeline, in the time zone that the request states."""
    if request.freq is not None and _canonical(request.freq, timeline) != timeline.freq:
        raise invalid([Fault(field="freq", reason=f"the model's frequency is {timeline.freq}")])
    if request.timezone is None or request.timezone == timeline.timezone:
        return timeline
    if timeline.kind == "integer":
        raise invalid([Fault(field="timezone", reason="the model counts steps, in no time zone")])
    try:
        return Timeline(kind=timeline.kind, freq=timeline.freq, timezone=request.timezone)
    except ValidationError:
        reason = "is no time zone: an IANA name such as Europe/Berlin is expected"
        raise invalid([Fault(field="timezone", reason=reason)]) from None


def _canonical(freq: str, timeline: Timeline) -> str | None:
    try:
        return Timeline(kind=timeline.kind, freq=freq).freq
    except ValidationError:
        return None


def _clocks(request: ForecastRequest, timeline: Timeline) -> list[ClockArray]:
    """Each series' stamps on the clock: all of `ds`, or `start` alone."""
    columns = [_column(series, index, timeline) for index, series in enumerate(request.series)]
    stamps = [stamp for column in columns for stamp in column]
    ends = np.cumsum([len(column) for column in columns])

    def refuse(at: int, reason: str) -> Exception:
        index = int(np.searchsorted(ends, at, side="right"))
        series = request.series[index]
        within = at - int(ends[index]) + len(columns[index])
        field = "start" if series.ds is None else f"ds[{within}]"
        return invalid([_fault(series, index, field, reason)])

    if timeline.kind == "integer":
        try:
            clock = timeline.parse([int(stamp) for stamp in stamps])
        except DsError as error:
            raise refuse(error.index, error.reason) from None
    else:
        read = iso.read([str(stamp) for stamp in stamps])
        naive = read.valid & ~read.aware
        if request.timezone is None and naive.any():
            reason = "has no offset from UTC: write one, or state the request's timezone"
            raise refuse(int(naive.argmax()), reason)
        placed = timeline.place(read)
        if placed.fault.any():
            at = int((placed.fault != 0).argmax())
            raise refuse(at, timeline.reason(int(placed.fault[at])))
        clock = placed.clock
    return np.split(clock, ends[:-1])


def _column(series: SeriesBody, index: int, timeline: Timeline) -> Sequence[str | int]:
    field = "start" if series.ds is None else "ds"
    column: Sequence[str | int]
    if series.ds is not None:
        column = series.ds
    elif series.start is not None:
        column = [series.start]
    elif timeline.kind == "integer":
        column = [0]
    else:
        raise invalid([_fault(series, index, "ds", "is required, or start")])
    kind, name = (str, "an ISO 8601 time") if timeline.kind == "time" else (int, "a whole number")
    if set(map(type, column)) != {kind}:
        at = next(i for i, stamp in enumerate(column) if type(stamp) is not kind)
        field += f"[{at}]" if series.ds is not None else ""
        raise invalid([_fault(series, index, field, f"must be {name}, as the model's are")])
    return column


def _read(
    series: SeriesBody, clock: ClockArray, spec: Spec, h: int, most_points: int
) -> tuple[Context, ClockArray]:
    start: Clock = clock[0]
    rows = _rows(series, clock, start, spec.timeline)
    span = int(rows[-1]) + 1
    if span > most_points:
        raise _FaultError("ds" if series.ds else "y", f"spans more than {most_points} steps")
    first = 0 if spec.reads_clock else span  # whose time stamp is asked for
    end = span + (max(h, spec.horizon) if spec.holidays else h)
    try:
        times = spec.timeline.at(start, np.arange(first, end))
    except DsError as error:
        raise _FaultError("start" if series.ds is None else "ds", error.reason) from None
    y = np.full(span, np.nan)
    y[rows] = np.array(series.y, np.float64)  # null becomes NaN
    if np.isnan(y[-spec.input_size :]).all():
        newest = f"the newest {spec.input_size} steps"
        raise _FaultError("y", f"has no observed value among {newest}, which is what is looked at")
    futr = _futr(series, spec, h)
    following = times[span - first :]
    known = futr[: spec.horizon]
    if spec.holidays:
        known = np.c_[known, holidays_at(spec, following[: spec.horizon])]
    context = Context(
        y=y,
        exog=_exog(series, rows, times[: span - first], spec),
        futr=known,
        stat=_stat(series, spec),
        ahead=covariates_ahead(spec, following, futr) if h > spec.horizon else None,
    )
    return context, following[:h]


def _rows(
    series: SeriesBody, clock: ClockArray, start: Clock, timeline: Timeline
) -> NDArray[np.int64]:
    """The place of each value on the grid that begins with the first."""
    if series.ds is None:
        return np.arange(len(series.y))
    try:
        rows = timeline.positions(start, clock)
    except DsError as error:
        raise _FaultError(f"ds[{error.index}]", error.reason) from None
    steps = np.diff(rows)
    if (steps <= 0).any():
        at = int((steps <= 0).argmax())
        reason = "occurs twice" if steps[at] == 0 else "is earlier than the one before it"
        raise _FaultError(f"ds[{at + 1}]", reason)
    return rows


def _exog(
    series: SeriesBody, rows: NDArray[np.int64], times: ClockArray, spec: Spec
) -> NDArray[np.float32]:
    names = spec.hist_exog + spec.futr_exog
    _check_names("exog", series.exog, names)
    exog = np.full((int(rows[-1]) + 1, spec.exog_size), np.nan, np.float32)
    if spec.reads_clock:
        put_clock(spec, times, exog)
    for column, name in enumerate(names, 2 * len(spec.calendar)):
        values = series.exog[name]
        if len(values) != len(rows):
            reason = f"has {len(values)} values and y {len(rows)}"
            raise _FaultError(f"exog.{name}", reason)
        exog[rows, column] = _single(f"exog.{name}", values)
    return exog


def _futr(series: SeriesBody, spec: Spec, h: int) -> NDArray[np.float32]:
    _check_names("futr_exog", series.futr_exog, spec.futr_exog)
    most = max(h, spec.horizon)
    futr = np.full((most, len(spec.futr_exog)), np.nan, np.float32)
    for column, name in enumerate(spec.futr_exog):
        values = series.futr_exog[name]
        if not h <= len(values) <= most:
            reason = f"has {len(values)} values, not {h} to {most}"
            raise _FaultError(f"futr_exog.{name}", reason)
        futr[: len(values), column] = _single(f"futr_exog.{name}", values)
    return futr


def _stat(series: SeriesBody, spec: Spec) -> NDArray[np.float32]:
    _check_names("stat_exog", series.stat_exog, spec.stat_exog)
    stat = np.empty(len(spec.stat_exog), np.float32)
    for column, name in enumerate(spec.stat_exog):
        try:
            stat[column] = stat_value(spec, name, series.stat_exog[name])
        except ValueError as error:
            raise _FaultError(f"stat_exog.{name}", str(error)) from None
    return stat


def _check_names(field: str, given: Mapping[str, object], wanted: Sequence[str]) -> None:
    if missing := [name for name in wanted if name not in given]:
        raise _FaultError(f"{field}.{missing[0]}", "is required by the model")
    if len(given) > len(wanted):
        known = ", ".join(wanted[:8]) if wanted else "none"
        raise _FaultError(field, f"has covariates that the model does not know; it knows {known}")


def _single(field: str, values: Sequence[float | None]) -> NDArray[np.float64]:
    column = np.array(values, np.float64)
    large = np.abs(column) > _LARGEST
    if large.any():
        raise _FaultError(f"{field}[{int(large.argmax())}]", "is too large")
    return column


def _fault(series: SeriesBody, index: int, field: str, reason: str) -> Fault:
    return Fault(field=field, reason=reason, series=shown(series.unique_id), index=index)
