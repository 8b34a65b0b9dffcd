"""Young windows are as wide as what they have observed asks; full ones do not change by a bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from models.bundle import BundleError, read_bundle, write_bundle
from models.context import Context
from models.forecaster import Forecaster
from models.predict import predict
from models.spec import Spec
from models.state import Steps
from models.transform import to_network
from models.warming import Warming
from tests.models.bundles import DATA
from tests.models.histories import GAPS, context_of, futr_of, loud, spec_of, specs, stat_of
from tests.models.warmings import warming_of

SPEC = spec_of(input_size=24, lags=24, horizon=5)


def plain_of(y: NDArray[np.float64], spec: Spec = SPEC) -> Context:
    none = np.empty((y.size, 0), np.float32)
    return Context(y, none, np.empty((spec.horizon, 0), np.float32), np.empty(0, np.float32))


def series(length: int, level: float = 100.0) -> NDArray[np.float64]:
    random = np.random.default_rng(length)
    return level * (1 + 0.1 * np.sin(np.arange(length)) + 0.01 * random.normal(size=length))


def both(forecaster: Forecaster, *contexts: Context) -> tuple[NDArray[Any], NDArray[Any]]:
    """(n, horizon, outputs) without and with what `warming_of` adds."""
    plain = predict(forecaster.warm(None), contexts)
    return plain, predict(forecaster.warm(warming_of(forecaster.spec)), contexts)


@settings(max_examples=40, deadline=None)
@given(specs(), st.integers(1, 30), st.sampled_from(GAPS), st.integers(0, 2**16))
def test_streams_and_batches_are_widened_alike(
    spec: Spec, length: int, gaps: str, seed: int
) -> None:
    forecaster, history = loud(spec, seed), context_of(spec, length, seed, gaps)
    forecaster.warm(warming_of(spec))
    older = context_of(spec, 40, seed + 1)  # in one batch with it, and full
    with torch.inference_mode():
        state = forecaster.initial_state(1, stat_of(history))
        for y, exog in zip(history.y, history.exog, strict=True):
            given = torch.tensor([y]), torch.from_numpy(exog)[None]
            stepped = forecaster.step(state, *given, futr_of(history))[1]
            state = forecaster.advance(state, *given)
        live = forecaster.forecast(state, futr_of(history))
    batch = predict(forecaster, [older, history])
    alone = predict(forecaster, [older])[0]
    size = max(float(np.nan_to_num(np.abs(each.y)).max()) for each in (history, older))
    for values in (stepped, live):
        np.testing.assert_allclose(batch[1], values[0].numpy(), rtol=1e-5, atol=1e-5 * size)
    np.testing.assert_allclose(batch[0], alone, rtol=1e-5, atol=1e-5 * size)


@pytest.mark.parametrize("transform", ["none", "log"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_a_full_window_forecasts_the_same_to_the_last_bit(cell: str, transform: str) -> None:
    forecaster = loud(SPEC.model_copy(update={"cell": cell, "transform": transform}), 0)
    old, young = plain_of(series(60)), plain_of(series(60)[-5:])
    plain, wide = both(forecaster, old)
    np.testing.assert_array_equal(wide, plain)
    plain, wide = both(forecaster, old, young)
    np.testing.assert_array_equal(wide[0], plain[0])
    assert (wide[1] != plain[1]).any()


def test_a_window_is_full_from_the_count_that_the_warming_names() -> None:
    forecaster, y = loud(SPEC, 0), series(24)
    whole = warming_of(SPEC)
    assert whole is not None
    warming = whole.model_copy(update={"full": 20})
    y[[3, 9, 10, 17]] = np.nan
    enough = plain_of(y)
    y = y.copy()
    y[5] = np.nan
    plain = predict(forecaster, [enough, plain_of(y)])
    wide = predict(forecaster.warm(warming), [enough, plain_of(y)])
    np.testing.assert_array_equal(wide[0], plain[0])
    assert (wide[1] != plain[1]).any()


def outer(plain: NDArray[Any], least: NDArray[Any]) -> NDArray[Any]:
    """(n, horizon, 3): quantiles or, where that is farther out, the median and `least` (3,)."""
    median = plain[..., 1, None]
    below = np.minimum(plain[..., :1], median + least[0])
    above = np.maximum(plain[..., 2:], median + least[2])
    return np.concatenate([below, median, above], axis=-1)


@pytest.mark.parametrize("level", [-1e6, -3.0, 1e-3, 1.0, 1e9])
@pytest.mark.parametrize("age", [1, 2, 4, 16])
def test_at_its_ages_quantiles_are_as_far_from_the_median_as_it_says_in_units_of_the_level(
    age: int, level: float
) -> None:
    forecaster, past = loud(SPEC, 0), plain_of(series(age, level))
    plain, wide = both(forecaster, past)
    unit = max(abs(past.y.mean()), 0.5)
    for step, factor in ((0, 2.0), (4, 6.0)):
        least = unit * np.array([-0.4, 0.0, 0.4]) * factor / age
        np.testing.assert_allclose(wide[:, step], outer(plain, least)[:, step], rtol=1e-6)


def test_a_quantile_that_lies_farther_out_stays_where_it_is() -> None:
    forecaster, past = loud(SPEC, 0), plain_of(series(4))
    plain = predict(forecaster, [past])
    reach = float((plain[0, 0, 2] - plain[0, 0, 1]) / past.y.mean())
    for share, stays in ((0.9, True), (1.1, False)):
        least = (-1e-9, 0.0, share * reach)
        warming = Warming(full=24, floor=0.5, ages=(4,), steps=(1,), offsets=((least,),))
        wide = predict(forecaster.warm(warming), [past])
        assert bool(wide[0, 0, 2] == plain[0, 0, 2]) == stays
        assert wide[0, 0, 0] == plain[0, 0, 0]
        forecaster.warm(None)


def test_under_the_logarithm_a_unit_is_a_share_of_the_value() -> None:
    spec = SPEC.model_copy(update={"transform": "log", "log_floor": 1e-6})
    forecaster, past = loud(spec, 0), plain_of(series(2))
    plain, wide = (
        to_network(torch.from_numpy(each), spec).numpy() for each in both(forecaster, past)
    )
    expected = outer(plain, np.array([-0.4, 0.0, 0.4]))
    np.testing.assert_allclose(wide[:, 0], expected[:, 0], rtol=1e-9)
    larger = both(forecaster, plain_of(1e6 * series(2)))[1]
    np.testing.assert_allclose(larger, 1e6 * both(forecaster, past)[1], rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(specs(), st.integers(1, 20), st.sampled_from(GAPS), st.integers(0, 2**16))
def test_intervals_only_grow_and_less_with_every_value(
    spec: Spec, length: int, gaps: str, seed: int
) -> None:
    forecaster, past = loud(spec, seed), context_of(spec, length, seed, gaps)
    plain, wide = (each[0] for each in both(forecaster, past))
    if not spec.quantiles:
        np.testing.assert_array_equal(wide, plain)
        return
    middle = spec.quantiles.index(0.5)
    slack = 1e-9 * np.nanmax(np.abs(wide), initial=0.0)
    np.testing.assert_allclose(wide[:, middle], plain[:, middle], rtol=1e-12)
    assert not (np.diff(wide) < -slack).any()
    assert not (wide[:, :middle] > plain[:, :middle] + slack).any()
    assert not (wide[:, middle + 1 :] < plain[:, middle + 1 :] - slack).any()


def test_between_two_ages_more_values_widen_less() -> None:
    forecaster = loud(SPEC, 0)
    extra = []
    for age in range(1, 26):
        plain, wide = both(forecaster, plain_of(np.full(age, 7.0)))
        extra.append(float((wide - plain)[0, -1, -1]))
    assert (np.diff(extra[:24]) < 0).all()
    assert extra[23:] == [0.0, 0.0]


def test_a_window_without_a_value_has_no_forecast_still() -> None:
    forecaster = loud(SPEC, 0)
    empty = plain_of(np.full(30, np.nan))
    plain, wide = both(forecaster, empty, plain_of(series(3)))
    assert np.isnan(wide[0]).all()
    assert np.isfinite(wide[1]).all()
    assert np.isfinite(plain[1]).all()


@pytest.mark.parametrize("transform", ["none", "log"])
@pytest.mark.parametrize("value", [0.0, -1e-300, 5e-324, 1e17, -1e17])
def test_the_widest_warming_of_any_value_is_finite(transform: str, value: float) -> None:
    spec = SPEC.model_copy(update={"transform": transform})
    widest = Warming(full=24, floor=1.0, ages=(1,), steps=(1,), offsets=(((-1e6, 0.0, 1e6),),))
    values = predict(loud(spec, 0).warm(widest), [plain_of(np.array([value]))])
    assert np.isfinite(values).all()
    assert (np.diff(values) >= 0).all()


def test_training_sees_what_the_network_says() -> None:
    forecaster, past = loud(SPEC, 0), plain_of(series(3))
    steps = torch.from_numpy(past.y)[None]
    given = Steps(steps, torch.empty(1, 3, 0))
    before = forecaster.unroll(forecaster.initial_state(1), given).z
    forecaster.warm(warming_of(SPEC))
    assert torch.equal(forecaster.unroll(forecaster.initial_state(1), given).z, before)
    assert "widening" not in " ".join(forecaster.state_dict())


@pytest.mark.parametrize("golden", [60, 5], ids=["full", "young"])
def test_a_bundle_keeps_it(tmp_path: Path, golden: int) -> None:
    forecaster, young = loud(SPEC, 0).warm(warming_of(SPEC)), plain_of(series(3))
    manifest = write_bundle(
        tmp_path / "bundle",
        forecaster,
        data=DATA,
        golden=plain_of(series(golden)),
        scores=None,
        seed=0,
    )
    read, read_manifest = read_bundle(tmp_path / "bundle")
    assert read_manifest == manifest
    assert read.warming == manifest.warming == warming_of(SPEC)
    np.testing.assert_array_equal(predict(read, [young]), predict(forecaster, [young]))


def good() -> dict[str, Any]:
    warming = warming_of(SPEC)
    assert warming is not None
    return warming.model_dump()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("full", 16),
        ("full", 1),
        ("floor", 0.0),
        ("floor", float("inf")),
        ("ages", (1, 2, 4, 4, 16)),
        ("ages", ()),
        ("steps", (5, 1)),
        ("steps", (0, 5)),
        ("offsets", (((0.0, 0.0, 2e6),) * 2,) * 5),
        ("offsets", (((0.0, 0.0, float("nan")),) * 2,) * 5),
        ("surprise", 1),
    ],
)
def test_what_is_no_warming_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Warming.model_validate(good() | {field: value})


@pytest.mark.parametrize(
    ("changes", "spec"),
    [
        ({}, spec_of(input_size=23, lags=23, horizon=5)),
        ({}, spec_of(input_size=24, horizon=4)),
        ({}, spec_of(input_size=24, horizon=5, quantiles=())),
        ({}, spec_of(input_size=24, horizon=5, quantiles=(0.5, 0.9))),
        ({"ages": (1, 2, 4, 8)}, SPEC),
        ({"steps": (1, 2, 5)}, SPEC),
        ({"offsets": (((0.0, 0.0, 1.0),) * 2,) * 4 + (((0.0, 0.0),) * 2,)}, SPEC),
        ({"offsets": (((1.0, 0.0, 1.0),) * 2,) * 5}, SPEC),
        ({"offsets": (((0.0, 0.5, 1.0),) * 2,) * 5}, SPEC),
        ({"offsets": ()}, SPEC),
    ],
)
def test_what_does_not_fit_the_forecaster_is_told(changes: dict[str, Any], spec: Spec) -> None:
    warming = Warming.model_validate(good() | changes)
    assert warming.misfit(SPEC if changes else spec) is not None
    assert Warming.model_validate(good()).misfit(SPEC) is None


def test_a_bundle_whose_warming_does_not_fit_is_not_written(tmp_path: Path) -> None:
    wrong = Warming.model_validate(good()).model_copy(update={"full": 25})
    forecaster = loud(SPEC, 0).warm(wrong)
    with pytest.raises((BundleError, ValidationError)):
        write_bundle(
            tmp_path / "bundle",
            forecaster,
            data=DATA,
            golden=plain_of(series(60)),
            scores=None,
            seed=0,
        )
    assert not (tmp_path / "bundle").exists()
