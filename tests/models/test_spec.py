"""A spec that can be built is one that a forecaster can be made of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from models.forecaster import Forecaster
from models.spec import DEFAULT_QUANTILES, Spec
from tests.models.histories import COUNTED, spec_of, specs

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"cell": "transformer"}, "cell"),
    ({"horizon": 0}, "horizon"),
    ({"horizon": 4097}, "horizon"),
    ({"horizon": 3.0}, "horizon"),
    ({"horizon": True}, "horizon"),
    ({"input_size": 0}, "input_size"),
    ({"input_size": 7, "lags": 8}, "lags must not exceed input_size"),
    ({"lags": 0}, "lags"),
    ({"hidden_size": 0}, "hidden_size"),
    ({"hidden_size": 10**9}, "hidden_size"),
    ({"layers": 0}, "layers"),
    ({"layers": 9}, "layers"),
    ({"quantiles": (0.5, 0.1)}, "quantiles must ascend"),
    ({"quantiles": (0.5, 0.5)}, "quantiles must ascend"),
    ({"quantiles": (0.1, 0.9)}, "must include 0.5"),
    ({"quantiles": (0.0, 0.5)}, "quantiles"),
    ({"quantiles": (0.5, 1.0)}, "quantiles"),
    ({"quantiles": (0.5, float("nan"))}, "quantiles"),
    ({"season": (0,)}, "season"),
    ({"season": (24, 24)}, "season lengths must ascend"),
    ({"season": (168, 24)}, "season lengths must ascend"),
    ({"season": (1, 2, 3, 4, 5)}, "season"),
    ({"season": (8193,)}, "season"),
    ({"transform": "sqrt"}, "transform"),
    ({"log_floor": 0.0}, "log_floor"),
    ({"log_floor": float("inf")}, "log_floor"),
    ({"calendar": ("hour_of_day",), "timeline": COUNTED}, "integer steps have no calendar"),
    ({"hist_exog": ("",)}, "hist_exog"),
    ({"hist_exog": ("a", "a")}, "one role and one name"),
    ({"hist_exog": ("a",), "futr_exog": ("a",)}, "one role and one name"),
    ({"futr_exog": ("a",), "stat_exog": ("a",)}, "one role and one name"),
    ({"stat_exog": ("x" * 129,)}, "stat_exog"),
    ({"categorical": (("kind", ("a",)),)}, "only a stat_exog has categories"),
    ({"stat_exog": ("kind",), "categorical": (("kind", ()),)}, "categorical"),
    ({"stat_exog": ("kind",), "categorical": (("kind", ("a", "a")),)}, "a category has one place"),
    (
        {
            "stat_exog": tuple("abcde"),
            "categorical": tuple((name, tuple(map(str, range(1000)))) for name in "abcde"),
        },
        "more than 4096 categories",
    ),
    ({"device": "cuda"}, "device"),
]


@pytest.mark.parametrize(("changes", "told"), REFUSED, ids=lambda case: str(case)[:50])
def test_what_no_forecaster_can_be_is_refused_by_name(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        spec_of(**changes)


@given(specs())
def test_a_spec_survives_json(spec: Spec) -> None:
    assert Spec.model_validate_json(spec.model_dump_json()) == spec


@settings(max_examples=20)
@given(specs())
def test_its_sizes_are_those_of_the_forecaster_made_of_it(spec: Spec) -> None:
    forecaster = Forecaster(spec)
    state = forecaster.initial_state(2)
    assert state.ring.shape == (2, spec.input_size)
    assert forecaster.encoder.exog_loc.shape == (spec.exog_size,)
    assert forecaster.head.outputs == spec.outputs == max(1, len(spec.quantiles))
    covariates = len(spec.hist_exog) + spec.n_futr
    assert spec.exog_size == 2 * len(spec.calendar) + covariates


def test_a_spec_is_a_value() -> None:
    assert spec_of() == spec_of()
    assert hash(spec_of()) == hash(spec_of())
    with pytest.raises(ValidationError, match="frozen"):
        setattr(spec_of(), "horizon", 5)  # noqa: B010 - what a type checker would refuse


def test_the_default_quantiles_hold_the_80_and_95_percent_intervals() -> None:
    assert {0.025, 0.1, 0.5, 0.9, 0.975} <= set(DEFAULT_QUANTILES)
    assert list(DEFAULT_QUANTILES) == sorted(DEFAULT_QUANTILES)
