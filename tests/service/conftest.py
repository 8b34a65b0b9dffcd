"""One registry and one server for all tests of the service; whoever needs another makes it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog

from models.timeline import Timeline
from store.settings import Settings
from tests.service.registries import COUNTED, EmbeddedRegistry, spec
from tests.service.running import ready, running

COVARIATES = spec(
    calendar=("hour_of_day",),
    hist_exog=("temperature",),
    futr_exog=("price",),
    stat_exog=("area",),
)


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    """Tests read answers, not the log of what the server did."""
    least = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=least, cache_logger_on_first_use=False)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        var=tmp_path_factory.mktemp("service"),
        port=0,
        poll_seconds=0.2,
        body_seconds=1.0,
        header_seconds=1.0,
        keep_alive_seconds=2.0,
        forecast_threads=1,
        max_body_bytes=200_000,
        max_series=50,
        max_points=5_000,
        max_total_points=20_000,
        max_forecast_numbers=20_000,
        kept_versions=2,
        log_level="error",
    )


@pytest.fixture(scope="session")
def registry(settings: Settings) -> EmbeddedRegistry:
    """Tasks that no test changes; a test that changes one registers its own."""
    registry = EmbeddedRegistry(settings)
    registry.register("load", spec())
    registry.register("steps", spec(timeline=COUNTED))
    registry.register("point", spec(timeline=COUNTED, quantiles=()))
    registry.register("covariates", COVARIATES)
    registry.register("daily", spec(timeline=Timeline(kind="time", freq="D")))
    return registry


@pytest.fixture(scope="session")
def url(settings: Settings, registry: EmbeddedRegistry) -> Iterator[str]:
    with running(settings) as url:
        ready(url)
        yield url


@pytest.fixture(scope="session")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=30) as client:
        yield client


def counted(task: str = "steps", **fields: Any) -> dict[str, Any]:
    """A request that is right for a model that counts steps."""
    y = [100.0, 101.5, None, 99.0] * 8
    return {"model": task, "series": [{"unique_id": "A", "y": y}]} | fields
