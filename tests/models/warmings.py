"""A warming that shows: wide, another at each age, step and quantile."""

from __future__ import annotations

from models.spec import Spec
from models.warming import Warming


def warming_of(spec: Spec) -> Warming | None:
    """Of the ages up to the window; None where a spec has no quantiles or its window one value."""
    ages = tuple(2**k for k in range(14) if 2**k < spec.input_size)
    if not ages or not spec.quantiles:
        return None
    steps = tuple(sorted({1, spec.horizon}))
    offsets = tuple(
        tuple(tuple((level - 0.5) * (1 + step) / age for level in spec.quantiles) for step in steps)
        for age in ages
    )
    return Warming(full=spec.input_size, floor=0.5, ages=ages, steps=steps, offsets=offsets)
