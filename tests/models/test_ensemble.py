"""An ensemble is the mean of its members, at every step and in every face of a forecaster."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ensemble import ensemble, ensemble_spec, member_specs
from models.forecaster import (
    Forecaster,
    equation_parameter_count,
    new_forecaster,
    parameter_count,
)
from models.spec import Recurrence
from tests.models.histories import context_of, futr_of, loud, spec_of, stat_of, steps_of

members_of = st.lists(st.sampled_from(["lstm", "gru", "elman"]), min_size=2, max_size=4)


def unsorted(forecaster: Forecaster, length: int, seed: int) -> torch.Tensor:
    """What the head says at the last step, (2, 1, horizon, outputs), in scales of the window."""
    contexts = [context_of(forecaster.spec, length, seed + row) for row in range(2)]
    state = forecaster.initial_state(2, stat_of(*contexts))
    futr = futr_of(*contexts)[:, None]
    last = torch.tensor([length - 1])
    return forecaster.unroll(state, steps_of(*contexts), futr, last).z


@torch.inference_mode()
@settings(max_examples=30)
@given(
    members_of,
    st.integers(1, 40),
    st.fixed_dictionaries(
        {
            "skip": st.booleans(),
            "gated": st.sampled_from([0, 5]),
            "futr_exog": st.sampled_from([(), ("price",)]),
        }
    ),
)
def test_an_ensemble_says_the_mean_of_what_its_members_say(
    cells: list[Recurrence], length: int, shape: dict[str, Any]
) -> None:
    shape |= {"layers": 2, "stat_exog": ("area",)}
    members = [loud(spec_of(cell=cell, **shape), seed) for seed, cell in enumerate(cells)]
    expected = torch.stack([unsorted(member, length, 3) for member in members]).mean(0)
    torch.testing.assert_close(unsorted(ensemble(members), length, 3), expected)


def test_it_has_the_parameters_of_its_members_side_by_side() -> None:
    members = [new_forecaster(spec_of(cell=cell), 0) for cell in ("lstm", "gru")]
    made = ensemble(members)
    assert made.spec.cells == ("lstm", "gru")
    shared = sum(each.numel() for each in made.head.parameters())
    heads = [sum(each.numel() for each in member.head.parameters()) for member in members]
    for count in (parameter_count, equation_parameter_count):
        assert count(made) - shared == sum(map(count, members)) - sum(heads)


def test_its_members_are_left_as_they_are() -> None:
    members = [new_forecaster(spec_of(cell=cell), 0) for cell in ("lstm", "gru")]
    before = {name: value.clone() for name, value in members[0].state_dict().items()}
    made = ensemble(members)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.fill_(7.0)
    torch.testing.assert_close(members[0].state_dict(), before)


def test_a_spec_of_an_ensemble_gives_back_those_of_its_members() -> None:
    specs = tuple(spec_of(cell=cell, layers=2) for cell in ("gru", "lstm", "gru"))
    assert member_specs(ensemble_spec(specs)) == specs
    assert member_specs(specs[0]) == specs[:1]


def test_members_that_differ_in_more_than_their_cell_make_no_ensemble() -> None:
    with pytest.raises(ValueError, match="nothing but their cell"):
        ensemble_spec([spec_of(cell="lstm"), spec_of(cell="gru", horizon=2)])
    with pytest.raises(ValueError, match="two members or more"):
        ensemble_spec([spec_of(cell="lstm")])


@pytest.mark.parametrize(
    "changes",
    [{"cell": "ensemble"}, {"cell": "ensemble", "members": ("gru",)}, {"members": ("gru",)}],
)
def test_a_spec_with_members_too_few_or_too_many_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="an ensemble has two members or more"):
        spec_of(**changes)
