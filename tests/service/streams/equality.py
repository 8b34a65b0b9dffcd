"""The runs that hold streams to their batch forecasts, a number of them on a kind of database."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from service.slots import Loaded
from tests.service.streams.driving import Drive
from tests.service.streams.machine import Machine
from tests.service.streams.replicas import opened, store


def assert_every_forecast_is_that_of_the_log(
    kind: str, runs: int, folder: Path, versions: dict[str, list[Loaded]]
) -> None:
    """Two replicas on one database, and whatever may happen to their streams, `runs` times."""
    limits = settings(
        max_examples=runs,
        stateful_step_count=8,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    with (
        asyncio.Runner() as runner,
        store(kind, folder) as url,
        opened(url) as one,
        opened(url) as other,
    ):

        def begun() -> Machine:
            return Machine(Drive(runner.get_loop(), (one, other), versions))

        run_state_machine_as_test(cast("type[Machine]", begun), settings=limits)
