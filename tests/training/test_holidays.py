"""A panel's holidays: whose, for which years, and what the forecaster is given of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.context import Context
from models.predict import predict
from models.spec import Spec
from models.timeline import Timeline
from service.forecast_request import ForecastRequest
from service.series import Bounds, prepare
from tests.training.panels import COUNTED, series_of, spec_of
from tests.training.trainers import schedule_of
from training.contexts import context
from training.defaults import default_spec
from training.fit import fit
from training.holidays import with_holidays
from training.panel import Panel

DAYS = Timeline(kind="time", freq="D", timezone="Europe/Berlin")
FIRST = np.datetime64("2021-01-01", "us")


def shops(n: int = 3, length: int = 1200) -> Panel:
    """Sales of a week's shape, and of a tenth on holidays."""
    random = np.random.default_rng(0)
    free = _free("DE", length)
    series = []
    for k in range(n):
        y = 100.0 + 20.0 * (np.arange(length) % 7) + random.normal(size=length)
        series.append(series_of(str(k), np.where(free, 0.1, 1.0) * y, FIRST))
    return Panel(DAYS, tuple(series))


def _free(place: str, length: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    panel = with_holidays(Panel(DAYS, (series_of("a", np.ones(1), FIRST),)), place)
    assert panel.holidays is not None
    first = int(FIRST.astype("M8[D]").astype(int))
    return np.isin(first + np.arange(length), panel.holidays.days)


def test_those_of_a_country_and_of_its_part() -> None:
    assert int(_free("DE", 365).sum()) == 9
    assert int(_free("DE-BY", 365).sum()) > 9


def test_they_reach_ten_years_beyond_the_data() -> None:
    found = with_holidays(shops(1, 400), "DE").holidays
    assert found is not None
    years = np.array(found.days).astype("M8[D]").astype("M8[Y]").astype(int) + 1970
    assert (years.min(), years.max()) == (2021, 2032)


@pytest.mark.parametrize("place", ["XX", "DE-ZZ", "Europe"])
def test_a_place_that_is_not_known_is_told(place: str) -> None:
    with pytest.raises(ValueError, match="no holidays are known of"):
        with_holidays(shops(1, 10), place)


def test_counted_steps_have_none() -> None:
    counted = Panel(COUNTED, (series_of("a", np.ones(9)),))
    assert with_holidays(counted, None) is counted
    with pytest.raises(ValueError, match="holidays need time stamps"):
        with_holidays(counted, "DE")


@pytest.mark.parametrize("h", [2, 3, 9])
def test_a_request_gives_the_context_that_the_panel_gives(h: int) -> None:
    panel = with_holidays(shops(1, 90), "DE")
    spec = spec_of(DAYS, calendar=("day_of_week",), holidays=panel.holidays)
    whole = panel.series[0]  # Good Friday is the third step ahead
    series = replace(whole, y=whole.y[:89], hist_exog=whole.hist_exog[:89])
    ours = context(replace(panel, series=(series,)), series, spec, 89, h)
    theirs = _asked(spec, series.y.tolist(), h)
    for field in ("y", "exog", "futr", "ahead"):
        one, other = getattr(ours, field), getattr(theirs, field)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(one, other, atol=1e-6)
    assert ours.futr[:, 0].tolist() == [0, 0, 1]


def _asked(spec: Spec, y: list[float], h: int) -> Context:
    body = {
        "model": "task",
        "h": h,
        "timezone": "Europe/Berlin",
        "series": [{"unique_id": "0", "start": "2021-01-01", "y": y}],
    }
    bounds = Bounds(points=10_000, total_points=10_000)
    return prepare(ForecastRequest.model_validate(body), spec, bounds).contexts[0]


def test_a_holiday_ahead_is_forecast_as_one() -> None:
    panel = with_holidays(shops(), "DE")
    spec = default_spec(panel, cell="gru", horizon=7, season=[7]).model_copy(
        update={"hidden_size": 16}
    )
    fitted = fit(panel, spec, schedule_of(batches=120, lanes=8, steps=64, learning_rate=1e-2))
    free = _free("DE", 1200)
    origin = int(np.flatnonzero(free[:1190] & (np.arange(1190) > 1000))[0]) - 2
    values = predict(fitted.forecaster, [context(panel, panel.series[0], spec, origin)])[0]
    said = values[:, spec.quantiles.index(0.5)]
    truth = panel.series[0].y[origin : origin + 7]
    assert truth[2] < 30
    assert said[2] < 0.8 * said[[0, 1, 4, 5, 6]].mean()
