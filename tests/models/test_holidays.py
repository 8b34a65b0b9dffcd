"""Holidays are counted where a step touches them, by the clock on its own wall."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from models.holidays import Holidays, holidays_after, holidays_at
from models.spec import Spec
from models.timeline import Timeline
from tests.models.histories import COUNTED, spec_of

NEW_YEAR, GOOD_FRIDAY = "2024-01-01", "2024-03-29"
DAYS = tuple(int(np.datetime64(day).astype(int)) for day in (NEW_YEAR, GOOD_FRIDAY, "2024-04-01"))
GERMANY = Holidays(place="DE", days=DAYS)


def spec(freq: str, timezone: str = "UTC") -> Spec:
    timeline = Timeline(kind="time", freq=freq, timezone=timezone)
    return spec_of(timeline=timeline, holidays=GERMANY)


def at(shape: Spec, *stamps: str) -> list[float]:
    found = holidays_at(shape, shape.timeline.parse(stamps))
    assert found.dtype == np.float32
    return [float(value) for value in found[:, 0]]


def test_an_hour_has_the_holiday_of_its_local_day() -> None:
    berlin = spec("h", "Europe/Berlin")
    stamps = ("2023-12-31T22:00Z", "2023-12-31T23:00Z", "2024-01-01T22:00Z", "2024-01-01T23:00Z")
    assert at(berlin, *stamps) == [0, 1, 1, 0]
    assert at(spec("h"), *stamps) == [0, 0, 1, 1]


def test_a_day_is_one_or_none_and_longer_steps_hold_several() -> None:
    assert at(spec("D"), "2024-03-28", GOOD_FRIDAY, "2024-03-30") == [0, 1, 0]
    assert at(spec("W-MON"), "2024-03-25", "2024-04-01", "2024-04-08") == [1, 1, 0]
    assert at(spec("MS"), "2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01") == [1, 0, 1, 1]
    assert at(spec("QS"), "2024-01-01", "2024-04-01", "2024-07-01") == [2, 1, 0]


def test_those_after_a_step_are_those_of_the_steps_after_it() -> None:
    shape = spec("D")
    clock = shape.timeline.parse(["2024-03-27", "2023-12-31"])
    assert holidays_after(shape, clock)[..., 0].tolist() == [[0, 1, 0], [1, 0, 0]]


def test_the_last_day_that_there_is_has_none_after_it() -> None:
    shape = spec("D")
    assert at(shape, "2261-12-31") == [0]
    clock = shape.timeline.parse(["2261-12-30", "2024-03-27"])
    np.testing.assert_array_equal(holidays_after(shape, clock)[..., 0], [[np.nan] * 3, [0, 1, 0]])


def test_without_holidays_there_is_no_column() -> None:
    bare = spec_of(calendar=("hour_of_day",))
    clock = bare.timeline.parse(["2024-01-01T00:00Z"])
    assert holidays_at(bare, clock).shape == (1, 0)
    assert holidays_after(bare, clock).shape == (1, 3, 0)
    assert bare.n_futr == 0


@pytest.mark.parametrize("days", [(2, 1), (1, 1), (10**6,)])
def test_days_that_are_none_are_refused(days: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        Holidays(place="DE", days=days)


def test_counted_steps_have_no_holidays() -> None:
    wrong: dict[str, Any] = {"timeline": COUNTED, "holidays": GERMANY}
    with pytest.raises(ValidationError, match="integer steps have no calendar"):
        spec_of(**wrong)
    with pytest.raises(ValueError, match="no days"):
        COUNTED.days(np.array([1]))
