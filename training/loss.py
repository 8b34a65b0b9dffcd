"""Losses of the forking sequences, in the scale of each origin's window."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx


class _Pinball(Function):
    """Mean pinball loss with its gradient made in the same passes.

    The elementwise form costs autograd a dozen passes over (n, K, horizon, Q), as much as the
    network itself; this one is four.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, outputs: Tensor, target: Tensor, quantiles: Tensor, weight: Tensor
    ) -> Tensor:
        error = target[..., None] - outputs  # (n, K, horizon, Q)
        slope = (error < 0).to(outputs.dtype).sub_(quantiles).mul_(weight[..., None])
        loss = -torch.dot(slope.flatten(), error.flatten())
        ctx.save_for_backward(slope)
        return loss

    @staticmethod
    def backward(ctx: FunctionCtx, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        (slope,) = ctx.saved_tensors  # type: ignore[attr-defined]  # torch leaves it untyped
        return slope * grad_outputs[0], None, None, None


def pinball(outputs: Tensor, target: Tensor, quantiles: Tensor, weight: Tensor) -> Tensor:
    """Weighted sum of max(q e, (q - 1) e), e = target - output (Koenker & Bassett 1978).

    outputs: (n, K, horizon, Q); target and weight: (n, K, horizon), without NaN; quantiles: (Q,).
    """
    loss: Tensor = _Pinball.apply(  # type: ignore[no-untyped-call]  # torch leaves it untyped
        outputs, target, quantiles, weight
    )
    return loss


def squared(outputs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted sum of squared errors. outputs: (n, K, horizon, 1); others (n, K, horizon)."""
    return (weight * (target - outputs[..., 0]).square()).sum()
