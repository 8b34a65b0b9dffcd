from typing import Any

import numpy as np
import pytest

from models.spec import Spec
from models.timeline import Timeline
from service.forecast_request import ForecastRequest
from service.problems import Fault, ProblemError
from service.series import Bounds, Prepared, prepare
from tests.service.registries import COUNTED, spec

BOUNDS = Bounds(points=1000, total_points=5000)
WITH_COVARIATES = {
    "calendar": ("hour_of_day",),
    "hist_exog": ("temperature",),
    "futr_exog": ("price", "holiday"),
    "stat_exog": ("area",),
}


def request(*series: dict[str, Any], **fields: Any) -> ForecastRequest:
    named = [{"unique_id": f"S{i}"} | one for i, one in enumerate(series)]
    return ForecastRequest.model_validate({"model": "task", "series": named} | fields)


def prepared(spec: Spec, *series: dict[str, Any], **fields: Any) -> Prepared:
    return prepare(request(*series, **fields), spec, BOUNDS)


def fault(spec: Spec, *series: dict[str, Any], **fields: Any) -> Fault:
    with pytest.raises(ProblemError) as caught:
        prepared(spec, *series, **fields)
    assert caught.value.problem.status == 422
    return caught.value.problem.errors[0]


def test_stamps_and_a_start_say_the_same() -> None:
    ds = [f"2026-01-01T{hour:02d}:00:00Z" for hour in range(5)]
    by_ds = prepared(spec(), {"ds": ds, "y": [1.0, 2, 3, 4, 5]}, h=2)
    by_start = prepared(spec(), {"start": ds[0], "y": [1.0, 2, 3, 4, 5]}, h=2)
    np.testing.assert_array_equal(by_ds.contexts[0].y, by_start.contexts[0].y)
    assert by_ds.stamps == by_start.stamps
    assert by_ds.stamps[0] == ["2026-01-01T05:00:00+00:00", "2026-01-01T06:00:00+00:00"]


def test_a_step_left_out_and_a_null_are_both_missing_values() -> None:
    left_out = {
        "ds": ["2026-01-01T00:00Z", "2026-01-01T01:00Z", "2026-01-01T04:00Z"],
        "y": [1.0, None, 3.0],
    }
    context = prepared(spec(), left_out).contexts[0]
    np.testing.assert_array_equal(context.y, [1.0, np.nan, np.nan, np.nan, 3.0])


def test_a_model_that_counts_steps_starts_at_zero() -> None:
    counted = spec(timeline=COUNTED)
    assert prepared(counted, {"y": [1.0, 2, 3]}, h=2).stamps[0] == [3, 4]
    assert prepared(counted, {"start": 10, "y": [1.0, 2, 3]}, h=2).stamps[0] == [13, 14]
    assert prepared(counted, {"ds": [7, 9], "y": [1.0, 2]}, h=2).stamps[0] == [10, 11]


def test_offsets_are_converted_and_the_answer_is_in_the_models_time_zone() -> None:
    berlin = spec(timeline=Timeline(kind="time", freq="h", timezone="Europe/Berlin"))
    answer = prepared(berlin, {"start": "2026-03-28T22:00:00-01:00", "y": [1.0, 2]}, h=2)
    assert answer.stamps[0] == ["2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"]


def test_a_stated_time_zone_reads_local_times_and_writes_the_answer() -> None:
    series = {"start": "2026-03-29T00:00:00", "y": [1.0, 2]}
    answer = prepared(spec(), series, h=2, timezone="Europe/Berlin")
    assert answer.stamps[0] == ["2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00"]


def test_days_follow_the_wall_clock_across_daylight_saving() -> None:
    daily = spec(timeline=Timeline(kind="time", freq="D", timezone="Europe/Berlin"))
    series = {"start": "2026-03-28", "y": [1.0, 2]}
    answer = prepared(daily, series, h=1, timezone="Europe/Berlin")
    assert answer.stamps[0] == ["2026-03-30T00:00:00+02:00"]


def test_covariates_stand_where_the_forecaster_looks_for_them() -> None:
    series = {
        "ds": ["2026-01-01T00:00Z", "2026-01-01T02:00Z"],
        "y": [1.0, 2.0],
        "exog": {"holiday": [0, 1], "temperature": [20.5, None], "price": [3.0, 4.0]},
        "futr_exog": {"price": [5.0, 6.0, 7.0], "holiday": [0, None, 1]},
        "stat_exog": {"area": 12.5},
    }
    context = prepared(spec(**WITH_COVARIATES), series, h=2).contexts[0]
    nan = np.nan
    np.testing.assert_allclose(context.exog[:, 0], np.sin(2 * np.pi * np.arange(3) / 24), atol=1e-6)
    np.testing.assert_array_equal(
        context.exog[:, 2:], [[20.5, 3.0, 0.0], [nan, nan, nan], [nan, 4.0, 1.0]]
    )
    expected = [[5.0, 0.0], [6.0, nan], [7.0, 1.0], [nan, nan], [nan, nan], [nan, nan]]
    np.testing.assert_array_equal(context.futr, expected)
    np.testing.assert_array_equal(context.stat, [12.5])


def test_a_category_is_read_by_its_word() -> None:
    words = spec(stat_exog=("kind",), categorical=(("kind", ("school", "shop")),))
    hour = {"start": "2026-01-01T00:00Z", "y": [1.0]}
    for value, place in (("shop", 1.0), ("school", 0.0), (None, np.nan)):
        context = prepared(words, hour | {"stat_exog": {"kind": value}}).contexts[0]
        np.testing.assert_array_equal(context.stat, [place])
    found = fault(words, hour | {"stat_exog": {"kind": "kiosk"}})
    assert found.field == "stat_exog.kind"
    assert "knows: school, shop; null stands for any other" in found.reason


def test_steps_beyond_the_horizon_have_their_calendar_and_what_is_known_of_them() -> None:
    series = {
        "start": "2026-01-01T04:00Z",
        "y": [1.0, 2.0],
        "exog": {"holiday": [0, 1], "temperature": [20.5, 3.0], "price": [3.0, 4.0]},
        "futr_exog": {"price": list(range(8)), "holiday": [1.0] * 8},
        "stat_exog": {"area": 12.5},
    }
    both = prepared(spec(**WITH_COVARIATES), series, h=8)
    assert both.stamps[0][-1] == "2026-01-01T13:00:00+00:00"
    context = both.contexts[0]
    assert context.ahead is not None
    assert (context.futr.shape, context.ahead.shape) == ((6, 2), (8, 5))
    np.testing.assert_allclose(context.ahead[0], [1.0, 0.0, np.nan, 0.0, 1.0], atol=1e-6)
    np.testing.assert_array_equal(context.ahead[:, 3], np.arange(8))
    np.testing.assert_array_equal(context.futr, context.ahead[:6, 3:])
    short = series | {"futr_exog": {"price": [1.0] * 7, "holiday": [1.0] * 8}}
    assert fault(spec(**WITH_COVARIATES), short, h=8).reason == "has 7 values, not 8 to 8"


HOUR = {"start": "2026-01-01T00:00Z", "y": [1.0, 2.0]}


@pytest.mark.parametrize(
    ("series", "field", "reason"),
    [
        ({"y": [1.0]}, "ds", "is required"),
        ({"ds": ["2026-01-01T00:00"], "y": [1.0]}, "ds[0]", "no offset"),
        ({"ds": ["2026-01-01"], "y": [1.0]}, "ds[0]", "no offset"),
        (
            {"ds": ["2026-01-01T00:00Z", "2026-01-01T01:00"], "y": [1.0, 2]},
            "ds[1]",
            "no offset",
        ),
        ({"start": 5, "y": [1.0]}, "start", "must be an ISO 8601 time"),
        ({"ds": ["2026-01-01T00:00Z", 5], "y": [1.0, 2]}, "ds[1]", "must be an ISO 8601 time"),
        ({"ds": ["2026-01-01T00:00Z", "yesterday"], "y": [1.0, 2]}, "ds[1]", "no ISO 8601"),
        ({"ds": ["2026-02-30T00:00Z"], "y": [1.0]}, "ds[0]", "no ISO 8601"),
        ({"ds": ["0001-01-01T00:00Z"], "y": [1.0]}, "ds[0]", "outside the years"),
        (
            {"ds": ["2026-01-01T00:00Z", "2026-01-01T00:30Z"], "y": [1.0, 2]},
            "ds[1]",
            "not on the grid",
        ),
        (
            {"ds": ["2026-01-01T00:00Z", "2026-01-01T01:00Z", "2026-01-01T01:00Z"], "y": [1, 2, 3]},
            "ds[2]",
            "occurs twice",
        ),
        (
            {"ds": ["2026-01-01T01:00Z", "2026-01-01T00:00Z"], "y": [1.0, 2]},
            "ds[1]",
            "is earlier",
        ),
        (
            {"ds": ["1990-01-01T00:00Z", "2026-01-01T00:00Z"], "y": [1.0, 2]},
            "ds",
            "more than 1000 steps",
        ),
        ({"start": "2026-01-01T00:00Z", "y": [1.0] * 1001}, "y", "more than 1000 steps"),
        ({"start": "2261-12-31T23:00Z", "y": [1.0, 2.0]}, "start", "outside the years"),
        ({"start": "2026-01-01T00:00Z", "y": [None, None]}, "y", "no observed value"),
        (
            {"start": "2026-01-01T00:00Z", "y": [1.0, *[None] * 24]},
            "y",
            "among the newest 24 steps",
        ),
        (HOUR | {"exog": {"price": [1.0, 2.0]}}, "exog", "does not know"),
        (HOUR | {"futr_exog": {"price": [1.0]}}, "futr_exog", "does not know"),
        (HOUR | {"stat_exog": {"area": 1.0}}, "stat_exog", "does not know"),
    ],
)
def test_a_fault_of_a_series_is_located(series: dict[str, Any], field: str, reason: str) -> None:
    found = fault(spec(), HOUR, series)
    assert (found.field, found.series, found.index) == (field, "S1", 1)
    assert reason in found.reason


def test_one_request_keeps_to_times_with_or_without_an_offset() -> None:
    mixed = {"ds": ["2026-01-01T00:00Z", "2026-01-01T01:00"], "y": [1.0, 2]}
    found = fault(spec(), mixed, timezone="UTC")
    assert found.field == "ds[1]"
    assert "has an offset where others have none" in found.reason


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"freq": "D"}, "freq", "frequency is h"),
        ({"freq": "fortnightly"}, "freq", "frequency is h"),
        ({"timezone": "Mars/Olympus"}, "timezone", "is no time zone"),
        ({"timezone": "../../etc/passwd"}, "timezone", "is no time zone"),
    ],
)
def test_a_fault_of_the_request_is_located(fields: dict[str, Any], field: str, reason: str) -> None:
    found = fault(spec(), HOUR, **fields)
    assert (found.field, found.series) == (field, None)
    assert reason in found.reason


@pytest.mark.parametrize("freq", ["h", "H", "1h", "60min", "hourly"])
def test_the_models_frequency_may_be_spelled_in_any_way(freq: str) -> None:
    assert prepared(spec(), HOUR, freq=freq).contexts


def test_a_time_zone_makes_no_sense_where_steps_are_counted() -> None:
    assert fault(spec(timeline=COUNTED), {"y": [1.0]}, timezone="Asia/Tokyo").field == "timezone"
    assert fault(spec(timeline=COUNTED), {"start": "2026-01-01", "y": [1.0]}).field == "start"


def test_a_start_off_the_weekday_of_the_model_is_refused() -> None:
    weekly = spec(timeline=Timeline(kind="time", freq="W-SUN"))
    found = fault(weekly, {"start": "2026-01-01T00:00Z", "y": [1.0]})
    assert found.field == "start"


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"exog": {"temperature": [1.0], "price": [1.0]}}, "exog.holiday", "is required"),
        (
            {"exog": {"temperature": [1.0, 2.0], "price": [1.0], "holiday": [1.0]}},
            "exog.temperature",
            "has 2 values and y 1",
        ),
        (
            {"exog": {"temperature": [1e300], "price": [1.0], "holiday": [1.0]}},
            "exog.temperature[0]",
            "too large",
        ),
        ({"futr_exog": {"price": [1.0], "holiday": [1.0]}}, "futr_exog.price", "not 2 to 6"),
        ({"futr_exog": {"price": [1.0] * 7, "holiday": [1.0]}}, "futr_exog.price", "not 2 to 6"),
        ({"futr_exog": {"price": [1.0] * 2}}, "futr_exog.holiday", "is required"),
        ({"stat_exog": {}}, "stat_exog.area", "is required"),
        ({"stat_exog": {"area": -1e300}}, "stat_exog.area", "too large"),
        ({"stat_exog": {"area": "large"}}, "stat_exog.area", "must be a number"),
        ({"stat_exog": {"area": 1, "perimeter": 2}}, "stat_exog", "it knows area"),
    ],
)
def test_a_fault_of_a_covariate_is_located(
    changes: dict[str, Any], field: str, reason: str
) -> None:
    good = {
        "start": "2026-01-01T00:00Z",
        "y": [1.0],
        "exog": {"temperature": [1.0], "price": [1.0], "holiday": [1.0]},
        "futr_exog": {"price": [1.0, 2.0], "holiday": [1.0, 0.0]},
        "stat_exog": {"area": 1.0},
    }
    assert prepared(spec(**WITH_COVARIATES), good, h=2).contexts
    found = fault(spec(**WITH_COVARIATES), good | changes, h=2)
    assert found.field == field
    assert reason in found.reason


def test_the_first_fault_of_every_series_is_named() -> None:
    bad = {"start": "2026-01-01T00:00Z", "y": [None]}
    with pytest.raises(ProblemError) as caught:
        prepared(spec(), bad, HOUR, bad, bad)
    assert [each.series for each in caught.value.problem.errors] == ["S0", "S2", "S3"]


def test_series_that_together_span_too_much_are_too_large() -> None:
    with pytest.raises(ProblemError) as caught:
        prepared(spec(), *[{"start": "2026-01-01T00:00Z", "y": [1.0] * 1000}] * 6)
    assert caught.value.problem.status == 413
