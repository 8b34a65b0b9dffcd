"""Whatever happens, on PostgreSQL too, a stream's forecast is the batch forecast over its log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.slots import Loaded
from tests.service.streams.equality import assert_every_forecast_is_that_of_the_log

pytestmark = pytest.mark.slow

RUNS = 520 if "CI" in os.environ else 15


def test_every_forecast_is_that_of_the_log(
    tmp_path: Path, versions: dict[str, list[Loaded]]
) -> None:
    assert_every_forecast_is_that_of_the_log("postgresql", RUNS, tmp_path, versions)
