import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from models.bundle import read_bundle
from models.context import Context
from models.predict import predict
from service import batcher as batcher_module
from service.batcher import Batcher
from service.problems import ProblemError
from service.slots import Loaded
from tests.service.registries import spec, write


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("batcher") / "bundle"
    write(folder, spec(quantiles=(0.1, 0.5, 0.9)))
    forecaster, manifest = read_bundle(folder)
    return Loaded("task", "1", "test", forecaster, manifest)


def contexts(lengths: list[int], seed: int = 0) -> list[Context]:
    random = np.random.default_rng(seed)
    return [
        Context(
            y=100 + 10 * random.standard_normal(length),
            exog=np.zeros((length, 0), np.float32),
            futr=np.zeros((6, 0), np.float32),
            stat=np.zeros(0, np.float32),
        )
        for length in lengths
    ]


def run(work: Callable[[Batcher], Awaitable[Any]], *, threads: int = 1, points: int = 2_000) -> Any:
    async def main() -> Any:
        batcher = Batcher(threads=threads, batch_points=points, max_queued_points=20_000)
        batcher.start()
        try:
            return await asyncio.wait_for(work(batcher), 60)
        finally:
            await batcher.close()

    return asyncio.run(main())


@pytest.mark.parametrize("threads", [1, 2])
def test_each_request_gets_its_own_forecasts(loaded: Loaded, threads: int) -> None:
    requests = [contexts([30 + 7 * i, 200, 31], seed=i) for i in range(12)]

    async def work(batcher: Batcher) -> Any:
        return await asyncio.gather(*(batcher.forecast(loaded, each) for each in requests))

    for request, values in zip(requests, run(work, threads=threads), strict=True):
        np.testing.assert_allclose(values, predict(loaded.forecaster, request), rtol=1e-5)


def test_requests_that_come_during_a_batch_share_the_next(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    release = threading.Event()

    def watched(forecaster: Any, given: list[Context], *, h: int | None) -> Any:
        sizes.append(len(given))
        release.wait(10)
        return predict(forecaster, given, h=h)

    monkeypatch.setattr(batcher_module, "predict", watched)

    async def work(batcher: Batcher) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(batcher.forecast(loaded, contexts([50])))
            await asyncio.sleep(0.05)
            for seed in range(5):
                group.create_task(batcher.forecast(loaded, contexts([50], seed)))
            await asyncio.sleep(0.05)
            release.set()

    run(work)
    assert sizes == [1, 5]


def test_a_requester_who_leaves_takes_only_its_own_series_along(loaded: Loaded) -> None:
    async def work(batcher: Batcher) -> Any:
        leaving = asyncio.create_task(batcher.forecast(loaded, contexts([100] * 100)))
        staying = asyncio.create_task(batcher.forecast(loaded, contexts([100])))
        await asyncio.sleep(0)
        leaving.cancel()
        values = await staying
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await asyncio.sleep(0.05)
        return values, batcher._queue.points

    values, waiting = run(work)
    np.testing.assert_allclose(values, predict(loaded.forecaster, contexts([100])), rtol=1e-5)
    assert waiting == 0


def test_a_request_that_cannot_be_computed_fails_alone(loaded: Loaded) -> None:
    broken = Context(
        y=np.zeros(50),
        exog=np.zeros((50, 3), np.float32),  # not what the spec says
        futr=np.zeros((6, 0), np.float32),
        stat=np.zeros(0, np.float32),
    )

    async def work(batcher: Batcher) -> Any:
        requests = [contexts([50]), [broken], contexts([50], 1)]
        tasks = [batcher.forecast(loaded, each) for each in requests]
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, failed, last = run(work)
    assert isinstance(failed, Exception)
    assert first.shape == last.shape == (1, 6, 3)


def test_more_than_may_wait_is_turned_away(loaded: Loaded) -> None:
    async def work(batcher: Batcher) -> Any:
        tasks = [batcher.forecast(loaded, contexts([1000] * 9)) for _ in range(5)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = run(work)
    refused = [each for each in answers if isinstance(each, ProblemError)]
    assert len(refused) >= 1
    assert all(each.problem.status == 503 and each.headers["retry-after"] for each in refused)
    assert any(isinstance(each, np.ndarray) for each in answers)


def test_a_request_larger_than_the_queue_is_served_when_nothing_waits(loaded: Loaded) -> None:
    async def work(batcher: Batcher) -> Any:
        return await batcher.forecast(loaded, contexts([500] * 50))

    assert run(work).shape == (50, 6, 3)
