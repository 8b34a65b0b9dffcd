"""Live scores in plain Python: every forecast by itself, from batch forecasts over the log."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from service.live.scorer import SAMPLE_EVERY
from service.slots import Loaded
from tests.service.streams.plain import PlainStream, number_of

LEVELS = (0.1, 0.5, 0.9)


def scores(
    loaded: Loaded,
    plain: PlainStream,
    made_after: Sequence[int],
    stream: int,
    fresh: int = 1,
    *,
    shadow: Loaded | None = None,
) -> dict[int, list[tuple[float, float, bool]]]:
    """By lead the scores (scaled error, quantile loss, within 80 %) of forecasts.

    made_after: the places in the log after which a forecast was made, ascending. stream: its id.
    fresh: observations that came with each. shadow: whose forecasts these are instead, where
    `loaded` makes one. A stream has no break and nothing late.
    """
    spec = loaded.spec
    found: dict[int, list[tuple[float, float, bool]]] = {1: [], 2: [], 3: []}
    truth = {row.step: row.y for row in plain.rows}
    first, newest = plain.rows[0].step, plain.rows[-1].step
    scales: dict[int, float] = {}
    scale = 0.0
    for seq in made_after:
        origin = plain.rows[seq - 1].step
        if origin - first + 1 < spec.input_size:
            continue
        phase = seq + stream
        if not scales or phase // SAMPLE_EVERY > (phase - fresh) // SAMPLE_EVERY:
            window = [truth.get(step) for step in range(origin - spec.input_size + 1, origin + 1)]
            pairs = [
                abs(b - a)
                for a, b in zip(window, window[3:], strict=False)
                if a is not None and b is not None
            ]
            scale = sum(pairs) / len(pairs) if pairs else 0.0
        scales[seq] = scale
    for lead, its in found.items():
        busy_until = -math.inf
        for seq in made_after:
            origin = plain.rows[seq - 1].step
            values = plain.forecast(loaded, seq)
            scale = scales.get(seq, 0.0)
            if not scale or origin < busy_until or values is None:
                continue
            busy_until = origin + lead
            y = truth.get(origin + lead)
            if origin + lead > newest or y is None:
                continue
            if shadow is not None:
                values = plain.forecast(shadow, seq)
                if values is None or origin - first + 1 < shadow.spec.input_size:
                    continue
            at = values[lead - 1]
            losses = [max(q * (y - f), (q - 1) * (y - f)) for q, f in zip(LEVELS, at, strict=True)]
            inside = bool(at[0] <= y <= at[2])
            its.append((abs(y - at[1]) / scale, sum(losses) / 3 / scale, inside))
    return found


def assert_equal(
    totals: dict[tuple[str, str, int], np.ndarray[tuple[int], np.dtype[np.float64]]],
    loaded: Loaded,
    expected: dict[int, list[tuple[float, float, bool]]],
    rtol: float = 1e-4,
) -> None:
    """A tally's totals of a version are these scores and no others."""
    for lead, its in expected.items():
        sums = totals.get((loaded.task, loaded.version, lead), np.zeros(6))
        assert sums[0] == len(its)
        by_hand = [
            sum(error for error, _, _ in its),
            sum(error * error for error, _, _ in its),
            sum(loss for _, loss, _ in its),
            sum(inside for _, _, inside in its),
        ]
        np.testing.assert_allclose(sums[1:5], by_hand, rtol=rtol)
        if its:
            assert np.isnan(sums[5])  # no quantiles of 95 %


def numbers(loaded: Loaded, steps: Iterable[int]) -> list[int]:
    """Steps as the engine's clock has them."""
    return [number_of(loaded.spec, step) for step in steps]
