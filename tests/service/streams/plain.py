"""A stream in plain Python: what was observed, the rules, and the batch forecast of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from models.context import Context
from models.predict import predict
from models.spec import Spec
from service.slots import Loaded
from service.streams.arrival import Kind, Outcome

Values = NDArray[np.float64]

FIRST = datetime(2026, 3, 27, 22, tzinfo=UTC)
HOUR = 3_600_000_000


class Row(NamedTuple):
    """An observation. step: hours since `FIRST`, or the step that is counted."""

    step: int
    y: float | None
    exog: tuple[float | None, ...] = ()


def number_of(spec: Spec, step: int) -> int:
    """A step as the engine's clock has it."""
    if spec.timeline.kind == "integer":
        return step
    return int(FIRST.timestamp()) * 1_000_000 + step * HOUR


def stamp_of(spec: Spec, step: int) -> str | int:
    """A step as a client writes it."""
    if spec.timeline.kind == "integer":
        return step
    return (FIRST + timedelta(hours=step)).isoformat()


@dataclass
class PlainStream:
    """What a stream is to anybody who knows no engine.

    rows: in the order of arrival. max_gap: None for the window of whichever version serves.
    """

    task: str
    unique_id: str
    rewind: int = 0
    max_gap: int | None = None
    stat: tuple[float, ...] = ()
    closed: bool = False
    rows: list[Row] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    """By step, the place of its row, from 1."""
    newest: int | None = None

    def take(self, row: Row) -> int:
        """Append a row; its place in the log."""
        self.rows.append(row)
        self.newest = row.step if self.newest is None else max(self.newest, row.step)
        self.places[row.step] = len(self.rows)
        return len(self.rows)

    def hold(self, rows: Sequence[Row]) -> None:
        """Have these rows, and no others."""
        self.rows, self.places, self.newest = [], {}, None
        for row in rows:
            self.take(row)

    def observe(self, spec: Spec, row: Row) -> Outcome:
        """What a row becomes, which is kept if it is taken. `Outcome.steps` is left at 0."""
        ds, newest = number_of(spec, row.step), self.newest
        if newest is None or row.step > newest:
            missing = 0 if newest is None else row.step - newest - 1
            return Outcome(Kind.APPLIED, ds, self.take(row), missing)
        if row.step in self.places:
            seq = self.places[row.step]
            there = self.rows[seq - 1]
            if there == row:
                return Outcome(Kind.DUPLICATE, ds, seq)
            return Outcome(Kind.CONFLICT, ds, seq, stored=there.y)
        if newest - row.step > self.rewind:
            return Outcome(Kind.LATE, ds)
        return Outcome(Kind.REWOUND, ds, self.take(row))

    def segment(self, spec: Spec, seq: int) -> list[Row]:
        """What the log's first `seq` rows hold since their last long gap, by step."""
        max_gap = spec.input_size if self.max_gap is None else self.max_gap
        segment: list[Row] = []
        for row in sorted(self.rows[:seq], key=lambda row: row.step):
            if segment and row.step - segment[-1].step - 1 > max_gap:
                segment = []
            segment.append(row)
        return segment

    def head(self, spec: Spec, seq: int) -> tuple[int | None, int, int]:
        """Of the log's first `seq` rows the newest ds, where its segment begins, and its steps."""
        segment = self.segment(spec, seq)
        if not segment:
            return None, 0, 0
        first, last = segment[0].step, segment[-1].step
        return number_of(spec, last), number_of(spec, first), last - first + 1

    def forecast(
        self, loaded: Loaded, seq: int, futr: NDArray[np.float32] | None = None
    ) -> Values | None:
        """(horizon, outputs), the batch forecast after the log's first `seq` rows, None for none.

        futr: (horizon, n_futr).
        """
        spec = loaded.spec
        context = context_of(spec, self.segment(spec, seq), self.stat, futr)
        if context is None:
            return None
        values: Values = predict(loaded.forecaster, [context])[0]
        return None if np.isnan(values).all() else values


def context_of(
    spec: Spec,
    segment: Sequence[Row],
    stat: Sequence[float] = (),
    futr: NDArray[np.float32] | None = None,
) -> Context | None:
    """Rows by ascending step as a batch forecast reads them; None where there are none."""
    if not segment:
        return None
    first, last = segment[0].step, segment[-1].step
    steps = range(first, last + 1)
    rows = {row.step: row for row in segment}
    names = spec.hist_exog + spec.futr_exog
    y = [rows[step].y if step in rows else None for step in steps]
    exog = [
        rows[step].exog if step in rows and rows[step].exog else (None,) * len(names)
        for step in steps
    ]
    parts = [np.array(exog, np.float32).reshape(len(steps), len(names))]
    if spec.calendar:
        clock = np.array([number_of(spec, step) for step in steps], np.int64).astype("M8[us]")
        parts.insert(0, spec.timeline.calendar(clock, spec.calendar))
    known = np.full((spec.horizon, len(spec.futr_exog)), np.nan, np.float32)
    known = known if futr is None else futr
    if spec.holidays is not None:
        ahead = range(last + 1, last + 1 + spec.horizon)
        parts.append(holidays_of(spec, steps))
        known = np.concatenate([known, holidays_of(spec, ahead)], 1)
    return Context(
        y=np.array(y, np.float64),
        exog=np.concatenate(parts, 1),
        futr=known,
        stat=np.array(stat, np.float32),
    )


def holidays_of(spec: Spec, steps: range) -> NDArray[np.float32]:
    """(n, 1): whether each hour lies in a holiday."""
    assert spec.holidays is not None
    epoch, zone = date(1970, 1, 1), ZoneInfo(spec.timeline.timezone)
    days = [(FIRST + timedelta(hours=step)).astimezone(zone).date() for step in steps]
    free = [[float((day - epoch).days in spec.holidays.days)] for day in days]
    return np.array(free, np.float32).reshape(len(steps), 1)


def assert_same(found: Values | None, expected: Values | None) -> None:
    """Within 1e-5 of each other, and of the level 1e-8; nothing where nothing is expected."""
    if expected is None or found is None:
        assert found is None, "a forecast of nothing"
        assert expected is None, "no forecast"
        return
    level = float(np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8 * level)
