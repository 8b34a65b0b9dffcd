"""What a service has on disk, made once for all that are to be killed."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import structlog

from tests.faults.serving import served_once


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bundles, of a service that has had its registry."""
    return served_once(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    """Tests read answers, not the log of what the server did."""
    least = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=least, cache_logger_on_first_use=False)
