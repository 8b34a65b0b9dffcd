"""Seasonal naive and Naive2: by hand, with holes, and against the published M4 figures."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from models import metrics
from models.naive import seasonal_naive
from models.naive2 import is_seasonal, naive2, seasonal_indices

Floats = NDArray[np.float64]
LEVELS = (0.1, 0.5, 0.9)
WAVE = np.tile([2.0, 4.0, 6.0, 4.0], 10)

holed = hnp.arrays(
    np.float64, st.integers(0, 20), elements=st.floats(-1e3, 1e3) | st.just(float("nan"))
)


def test_the_last_season_is_repeated() -> None:
    y = np.array([9.0, 9.0, 9.0, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(seasonal_naive(y, 3, 5)[:, 0], [1.0, 2.0, 3.0, 1.0, 2.0])


def test_the_newest_observed_value_of_the_place_stands_in_for_a_missing_one() -> None:
    y = np.array([1.0, 2.0, 10.0, np.nan, np.nan, 20.0])
    np.testing.assert_array_equal(seasonal_naive(y, 2, 3)[:, 0], [10.0, 20.0, 10.0])


def test_a_place_never_observed_takes_the_newest_value_of_all() -> None:
    y = np.array([np.nan, 7.0, np.nan, 8.0])
    np.testing.assert_array_equal(seasonal_naive(y, 2, 2)[:, 0], [8.0, 8.0])
    np.testing.assert_array_equal(seasonal_naive(np.array([5.0]), 4, 3)[:, 0], [5.0, 5.0, 5.0])


def test_the_spread_grows_with_the_root_of_the_seasons_ahead() -> None:
    y = np.array([0.0, 0.0, 3.0, 4.0])  # residuals 3 and 4: sigma² 12.5
    width = NormalDist().inv_cdf(0.9) * np.sqrt(12.5)
    spread = seasonal_naive(y, 2, 5, LEVELS) - [[3.0], [4.0], [3.0], [4.0], [3.0]]
    expected = width * np.sqrt([1, 1, 2, 2, 3])
    np.testing.assert_allclose(spread, np.stack([-expected, 0 * expected, expected], axis=1))


def test_an_old_value_is_less_certain_than_a_new_one() -> None:
    y = np.array([1.0, 5.0, 3.0, 6.0, np.nan, 7.0])
    low, _, high = seasonal_naive(y, 2, 2, LEVELS).T
    assert high[0] - low[0] == pytest.approx(np.sqrt(2) * (high[1] - low[1]))


def test_one_value_alone_gives_a_point_and_no_intervals() -> None:
    values = seasonal_naive(np.array([np.nan, 3.0]), 2, 1, LEVELS)
    np.testing.assert_array_equal(values, [[np.nan, 3.0, np.nan]])


def test_nothing_observed_gives_nothing() -> None:
    for y in (np.empty(0), np.full(7, np.nan)):
        assert np.isnan(seasonal_naive(y, 3, 2, LEVELS)).all()


@settings(deadline=None)
@given(holed, st.integers(1, 25), st.integers(1, 30))
def test_quantiles_never_cross_and_the_median_is_an_observed_value(
    y: Floats, season: int, horizon: int
) -> None:
    values = seasonal_naive(y, season, horizon, LEVELS)
    assert values.shape == (horizon, 3)
    if not np.isnan(values).any():
        assert (np.diff(values, axis=1) >= 0).all()
    observed = y[~np.isnan(y)]
    assert np.isin(values[:, 1], observed).all() if observed.size else np.isnan(values).all()
    np.testing.assert_array_equal(values[:, 1:2], seasonal_naive(y, season, horizon))


def test_a_season_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        seasonal_naive(WAVE, 0, 1)


def test_naive2_repeats_the_level_and_puts_the_season_back() -> None:
    np.testing.assert_allclose(naive2(WAVE[:-1], 4, 5), [4.0, 2.0, 4.0, 6.0, 4.0])
    np.testing.assert_allclose(seasonal_indices(WAVE, 4), [0.5, 1.0, 1.5, 1.0])
    odd = np.tile([1.0, 2.0, 3.0], 9)
    np.testing.assert_allclose(naive2(odd, 3, 4), [1.0, 2.0, 3.0, 1.0])


def test_naive2_is_naive_where_no_season_is_found() -> None:
    noise = np.random.default_rng(0).normal(100, 1, 60)
    assert not is_seasonal(noise, 4)
    np.testing.assert_array_equal(naive2(noise, 4, 3), np.repeat(noise[-1], 3))
    for y, season in ((WAVE[:11], 4), (WAVE, 1), (np.ones(40), 4)):
        assert not is_seasonal(y, season)


def test_naive2_refuses_what_it_is_not_defined_for() -> None:
    for y in (np.empty(0), np.where(WAVE == 6.0, np.nan, WAVE)):
        with pytest.raises(ValueError, match="every value"):
            naive2(y, 4, 2)
    with pytest.raises(ValueError, match="positive"):
        naive2(WAVE - 4.0, 4, 2)


@pytest.fixture(scope="module")
def m4_hourly() -> tuple[list[Floats], Floats, Floats]:
    """Train, truth (414, 48), scale (414,)."""
    folder = Path(os.environ.get("GATECAST_DATA", "")) / "m4"
    if "GATECAST_DATA" not in os.environ or not (folder / "Hourly-train.csv").is_file():
        pytest.skip("needs m4/Hourly-train.csv and m4/Hourly-test.csv in $GATECAST_DATA")
    train, test = (wide(folder / f"Hourly-{part}.csv") for part in ("train", "test"))
    scale = np.array([metrics.mase_scale(y, 24) for y in train.values()])
    return list(train.values()), np.stack([test[key] for key in train]), scale


def wide(path: Path) -> dict[str, Floats]:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return {row[0]: np.array([float(cell) for cell in row[1:] if cell]) for row in rows}


def test_naive2_has_the_published_errors_on_m4_hourly(
    m4_hourly: tuple[list[Floats], Floats, Floats],
) -> None:
    train, truth, scale = m4_hourly
    forecast = np.stack([naive2(y, 24, 48) for y in train])
    assert float(metrics.smape(truth, forecast)) == pytest.approx(18.383, abs=5e-4)
    assert float(metrics.mase(truth, forecast, scale)) == pytest.approx(2.395, abs=5e-4)


def test_seasonal_naive_has_the_published_errors_on_m4_hourly(
    m4_hourly: tuple[list[Floats], Floats, Floats],
) -> None:
    train, truth, scale = m4_hourly
    forecast = np.stack([seasonal_naive(y, 24, 48)[:, 0] for y in train])
    smape, mase = metrics.smape(truth, forecast), metrics.mase(truth, forecast, scale)
    assert float(smape) == pytest.approx(13.912, abs=5e-4)
    assert float(mase) == pytest.approx(1.193, abs=5e-4)
