"""Covariates: each kind counts, unknown ones do no harm, and a known future keeps to its steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.models.histories import context_of, loud, spec_of, stat_of, steps_of


@torch.inference_mode()
def test_covariates_not_given_are_unknown_ones() -> None:
    spec = spec_of(calendar=("hour_of_day",), hist_exog=("a",), futr_exog=("b",), stat_exog=("c",))
    forecaster = loud(spec, 0)
    y = torch.tensor([1.0], dtype=torch.float64)
    silent = forecaster.advance(forecaster.initial_state(1), y)
    stated = forecaster.advance(
        forecaster.initial_state(1, torch.full((1, 1), torch.nan)), y, torch.full((1, 4), torch.nan)
    )
    torch.testing.assert_close(silent.memory, stated.memory, rtol=0, atol=0)
    unknown = torch.full((1, 3, 1), torch.nan)
    torch.testing.assert_close(forecaster.forecast(silent), forecaster.forecast(stated, unknown))


@torch.inference_mode()
@pytest.mark.parametrize("role", ["calendar", "hist_exog", "futr_exog", "stat_exog"])
def test_every_kind_of_covariate_moves_the_forecast(role: str) -> None:
    spec = spec_of(**{role: ("hour_of_day",) if role == "calendar" else ("x",)})
    forecaster, context = loud(spec, 0), context_of(spec, 20, 0)
    field = "stat" if role == "stat_exog" else "exog"
    known = replace(context, **{field: np.ones_like(getattr(context, field))})
    other = replace(context, **{field: -np.ones_like(getattr(context, field))})
    one, two = (
        forecaster.forecast(
            forecaster.replay(forecaster.initial_state(1, stat_of(each)), steps_of(each))
        )
        for each in (known, other)
    )
    assert not torch.allclose(one, two)


@torch.inference_mode()
def test_a_known_future_moves_only_the_steps_it_is_of() -> None:
    spec = spec_of(futr_exog=("price",))
    forecaster, context = loud(spec, 0), context_of(spec, 20, 0)
    state = forecaster.replay(forecaster.initial_state(1), steps_of(context))
    futr = torch.zeros(1, 3, 1)
    before = forecaster.forecast(state, futr)
    futr[0, 1] = 5.0
    changed = (forecaster.forecast(state, futr) != before).any(-1)[0]
    assert changed.tolist() == [False, True, False]


def test_a_category_is_a_column_of_its_own_and_an_unknown_one_the_average_of_all() -> None:
    spec = spec_of(stat_exog=("kind", "area"), categorical=(("kind", ("a", "b", "c")),))
    encoder = loud(spec, 0).encoder
    stat = torch.tensor([[0.0, 5.0], [2.0, torch.nan], [torch.nan, 5.0]])
    columns = encoder.columns(stat)
    expected = torch.tensor(
        [[1, 0, 0, 5.0], [0, 0, 1, torch.nan], [torch.nan, torch.nan, torch.nan, 5.0]]
    )
    torch.testing.assert_close(columns, expected, equal_nan=True)
    encoder.stat_loc.copy_(torch.tensor([0.5, 0.25, 0.25, 5.0]))
    window = encoder.scaled(torch.zeros(3, 8, dtype=torch.float64))
    seen = encoder(window, None, stat)[:, -4:]
    average = 0.5 * torch.tensor([0.5, -0.25, -0.25, 0]) + 0.25 * torch.tensor([-1.0, 0.5, 0.5, 0])
    torch.testing.assert_close(seen[2], average)
    torch.testing.assert_close(seen[0], torch.tensor([0.5, -0.25, -0.25, 0.0]))
