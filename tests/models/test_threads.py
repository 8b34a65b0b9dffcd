"""One forecaster serves many threads."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from tests.models.histories import COUNTED, context_of, loud, spec_of, steps_of


def test_threads_that_share_a_forecaster_get_the_numbers_of_one() -> None:
    spec = spec_of(cell="lstm", layers=2, timeline=COUNTED)
    forecaster = loud(spec, 0)
    contexts = [context_of(spec, 140 + seed, seed, "scattered") for seed in range(8)]

    def alone(index: int) -> Tensor:
        with torch.inference_mode():
            steps = steps_of(contexts[index])
            state = forecaster.replay(forecaster.initial_state(1), steps)
            return forecaster.forecast(state)

    expected = [alone(index) for index in range(8)]
    found: list[Tensor | None] = [None] * 8

    def work(index: int) -> None:
        found[index] = alone(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(found, expected, strict=True):
        assert one is not None
        assert torch.equal(one, other)
