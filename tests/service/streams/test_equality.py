"""Whatever happens to a stream, its forecast is the batch forecast over what its log holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.slots import Loaded
from tests.service.streams.equality import assert_every_forecast_is_that_of_the_log

pytestmark = pytest.mark.slow

RUNS = 1_500 if "CI" in os.environ else 45


def test_every_forecast_is_that_of_the_log(
    tmp_path: Path, versions: dict[str, list[Loaded]]
) -> None:
    assert_every_forecast_is_that_of_the_log("sqlite", RUNS, tmp_path, versions)
