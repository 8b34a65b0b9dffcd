"""Several forecasters as one: their recurrent layers side by side, their heads as one mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from .forecaster import Forecaster, new_forecaster
from .recurrent import Recurrent, SideBySide
from .spec import Recurrence, Spec


def ensemble_spec(specs: Sequence[Spec]) -> Spec:
    """The spec of the ensemble of forecasters of these specs, in this order.

    Raises ValueError where there are fewer than two, or where they differ in more than their cell.
    """
    if len(specs) < 2:
        raise ValueError("an ensemble has two members or more")
    if len({spec.model_copy(update={"cell": "lstm"}) for spec in specs}) > 1:
        raise ValueError("the members of an ensemble differ in nothing but their cell")
    members = tuple(cast("Recurrence", spec.cell) for spec in specs)
    return Spec.model_validate({**dict(specs[0]), "cell": "ensemble", "members": members})


def member_specs(spec: Spec) -> tuple[Spec, ...]:
    """The specs of an ensemble's members; of a single cell, its own."""
    return tuple(
        Spec.model_validate({**dict(spec), "cell": cell, "members": ()}) for cell in spec.cells
    )


@torch.no_grad()
def ensemble(members: Sequence[Forecaster]) -> Forecaster:
    """The forecaster whose outputs are the mean of the members', before they are put in order.

    Every head is a sum of terms that see one member's state, so the mean is one head over the
    states side by side: what each member's terms weigh divided by their number. All quantiles are
    averaged at their level (Vincent averaging), which keeps the width of the members' intervals.
    The members are left as they are, and were fitted to the same training data: the first one's
    scales of the covariates hold.

    Raises ValueError where the members' specs do not make an ensemble.
    """
    made = new_forecaster(ensemble_spec([member.spec for member in members]), seed=0)
    made.encoder.load_state_dict(members[0].encoder.state_dict())
    layers = cast("SideBySide", made.recurrent)
    for place, member in zip(layers.members, members, strict=True):
        place.load_state_dict(cast("Recurrent", member.recurrent).state_dict())
    share = 1.0 / len(members)
    heads = [member.head for member in members]
    head = made.head
    head.state.weight.copy_(torch.cat([each.state.weight for each in heads], 1) * share)
    head.state.bias.copy_(_mean([each.state.bias for each in heads]))
    if head.skip is not None:
        head.skip.weight.copy_(_mean([each.skip.weight for each in heads if each.skip is not None]))
    if head.gated:
        _beside(head.gate_state, [each.gate_state for each in heads])
        head.gate_input.weight.copy_(torch.cat([each.gate_input.weight for each in heads]))
        outputs = [each.gate_output.weight for each in heads]  # each (horizon, gated)
        head.gate_output.weight.copy_(torch.cat(outputs, 1) * share)
    if head.n_futr:
        _beside(head.futr_state, [each.futr_state for each in heads])
        head.futr_input.weight.copy_(torch.cat([each.futr_input.weight for each in heads]))
        outputs = [each.futr_output.weight for each in heads]  # each (outputs, units)
        head.futr_output.weight.copy_(torch.cat(outputs, 1) * share)
    return made


def _beside(made: nn.Linear, members: Sequence[nn.Linear]) -> None:
    """Let each member's units lie beside the others', and see its own state only."""
    made.weight.copy_(torch.block_diag(*(each.weight for each in members)))  # type: ignore[no-untyped-call]
    made.bias.copy_(torch.cat([each.bias for each in members]))


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(tensors)).mean(0)
