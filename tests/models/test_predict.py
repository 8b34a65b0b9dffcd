"""Batch forecasts: ragged series together give what each gives alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.predict import point, predict, replayed
from models.spec import Spec
from tests.models.histories import GAPS, context_of, loud, spec_of, specs


@settings(max_examples=25)
@given(
    specs(),
    st.lists(st.tuples(st.integers(0, 150), st.sampled_from(GAPS)), min_size=1, max_size=6),
    st.integers(1, 4),
    st.integers(0, 2**16),
)
def test_series_together_are_series_alone_in_any_order_and_batches(
    spec: Spec, shapes: list[tuple[int, str]], batch_size: int, seed: int
) -> None:
    forecaster = loud(spec, seed)
    contexts = [context_of(spec, n, seed + row, gaps) for row, (n, gaps) in enumerate(shapes)]
    alone = np.concatenate([predict(forecaster, [context]) for context in contexts])
    order = np.random.default_rng(seed).permutation(len(contexts))
    together = predict(forecaster, contexts)
    shuffled = predict(forecaster, [contexts[i] for i in order], batch_size=batch_size)
    size = max([1.0, *(np.nanmax(np.abs(c.y), initial=0.0) for c in contexts)])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-5 * size)
    np.testing.assert_allclose(shuffled, alone[order], rtol=1e-5, atol=1e-5 * size)


def test_no_series_give_no_forecasts() -> None:
    assert predict(loud(spec_of(), 0), []).shape == (0, 3, 3)


@pytest.mark.parametrize("transform", ["none", "log"])
def test_where_nothing_was_observed_there_is_no_forecast_and_no_harm_to_others(
    transform: str,
) -> None:
    spec = spec_of(transform=transform)
    forecaster = loud(spec, 0)
    contexts = [
        context_of(spec, 0, 0),
        context_of(spec, 30, 1, "all"),
        context_of(spec, 30, 2),
        context_of(spec, 30, 3, "trailing"),  # its newest window is empty
        context_of(spec, 1, 4),
    ]
    values = predict(forecaster, contexts)
    assert np.isnan(values[[0, 1, 3]]).all()
    assert np.isfinite(values[[2, 4]]).all()


def test_contexts_are_not_changed() -> None:
    spec = spec_of(futr_exog=("price",))
    context = context_of(spec, 30, 0, "scattered")
    kept = replace(context, y=context.y.copy(), exog=context.exog.copy(), futr=context.futr.copy())
    predict(loud(spec, 0), [context])
    for field in ("y", "exog", "futr", "stat"):
        np.testing.assert_array_equal(getattr(context, field), getattr(kept, field))


def test_states_come_in_the_order_of_their_contexts() -> None:
    spec = spec_of()
    forecaster = loud(spec, 0)
    contexts = [context_of(spec, length, length) for length in (3, 40, 0, 9)]
    with torch.inference_mode():
        together = replayed(forecaster, contexts)
        for row, context in enumerate(contexts):
            alone = replayed(forecaster, [context]).memory[0]
            torch.testing.assert_close(together.memory[row], alone, rtol=1e-5, atol=1e-5)
    assert len(replayed(forecaster, [])) == 0


def test_threads_at_once_get_the_numbers_of_one() -> None:
    spec = spec_of(cell="lstm", layers=2, hist_exog=("wind",))
    forecaster = loud(spec, 0)
    batches = [[context_of(spec, 50 + 9 * row, 10 * row + k) for k in range(4)] for row in range(8)]
    expected = [predict(forecaster, batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda batch: predict(forecaster, batch), batches * 3))
    for one, other in zip(found, expected * 3, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_point_is_the_median_or_the_only_output() -> None:
    values = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(point(spec_of(), values), values[..., 1])
    np.testing.assert_array_equal(point(spec_of(quantiles=()), values[..., :1]), values[..., 0])
