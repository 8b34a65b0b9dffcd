"""Whatever happens to a stream, its forecast is the batch forecast over what its log holds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from service.slots import Loaded
from tests.service.streams.driving import Drive
from tests.service.streams.machine import Machine
from tests.service.streams.replicas import opened, store

pytestmark = pytest.mark.slow

RUNS = {"sqlite": 45, "postgresql": 15}
if "CI" in os.environ:
    RUNS = {"sqlite": 1_500, "postgresql": 520}


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@pytest.mark.parametrize("kind", RUNS)
def test_every_forecast_is_that_of_the_log(
    kind: str,
    tmp_path: Path,
    versions: dict[str, list[Loaded]],
    loop: asyncio.AbstractEventLoop,
) -> None:
    limits = settings(
        max_examples=RUNS[kind],
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    with store(kind, tmp_path) as url, opened(url) as one, opened(url) as other:

        def begun() -> Machine:
            return Machine(Drive(loop, (one, other), versions))

        run_state_machine_as_test(cast("type[Machine]", begun), settings=limits)
