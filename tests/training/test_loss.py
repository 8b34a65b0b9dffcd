"""The losses are the formulas they are named after, in value and gradient."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from training.loss import pinball, squared

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)


def batch(seed: int, q: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Outputs (2, 3, 4, Q), targets, levels (Q,) and weights, some of them zero."""
    random = torch.Generator().manual_seed(seed)
    outputs = torch.randn(2, 3, 4, q, generator=random, dtype=torch.float64)
    target = torch.randn(2, 3, 4, generator=random, dtype=torch.float64)
    weight = torch.rand(2, 3, 4, generator=random, dtype=torch.float64)
    weight[0, 1] = 0.0
    levels = torch.tensor(LEVELS[:q], dtype=torch.float64)
    return outputs.requires_grad_(), target, levels, weight


def by_element(outputs: Tensor, target: Tensor, levels: Tensor, weight: Tensor) -> Tensor:
    error = target[..., None] - outputs
    return (weight[..., None] * torch.maximum(levels * error, (levels - 1) * error)).sum()


@settings(max_examples=30)
@given(st.integers(0, 2**16), st.floats(0.1, 10.0))
def test_the_pinball_loss_is_its_formula_in_value_and_gradient(seed: int, factor: float) -> None:
    inputs = batch(seed)
    ours, plain = pinball(*inputs), by_element(*inputs)
    torch.testing.assert_close(ours, plain)
    (gradient,) = torch.autograd.grad(factor * ours, inputs[0])
    (expected,) = torch.autograd.grad(factor * plain, inputs[0])
    torch.testing.assert_close(gradient, expected)


def test_its_gradient_is_that_of_finite_differences() -> None:
    outputs, *others = batch(0)
    assert torch.autograd.gradcheck(lambda each: pinball(each, *others), (outputs,))


def test_in_float32_it_is_the_formula_too() -> None:
    inputs = [part.detach().float() for part in batch(1)]
    torch.testing.assert_close(pinball(*inputs), by_element(*inputs))


def test_what_weighs_nothing_moves_nothing() -> None:
    outputs, target, levels, weight = batch(2)
    target[0, 1] = 1e9
    before = batch(2)
    torch.testing.assert_close(pinball(outputs, target, levels, weight), pinball(*before))
    (gradient,) = torch.autograd.grad(pinball(outputs, target, levels, weight), outputs)
    assert not gradient[0, 1].any()


def test_the_median_s_loss_is_half_the_absolute_error() -> None:
    outputs, target, _, weight = batch(3, q=1)
    loss = pinball(outputs, target, torch.tensor([0.5], dtype=torch.float64), weight)
    torch.testing.assert_close(loss, (weight * (target - outputs[..., 0]).abs()).sum() / 2)


def test_the_squared_loss_is_its_formula() -> None:
    outputs, target, _, weight = batch(4, q=1)
    expected = sum(
        w * (t - o) ** 2
        for o, t, w in zip(
            outputs.flatten().tolist(),
            target.flatten().tolist(),
            weight.flatten().tolist(),
            strict=True,
        )
    )
    torch.testing.assert_close(squared(outputs, target, weight).item(), expected)
