"""A real service with models of several kinds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store.settings import Settings
from tests.service.registries import COUNTED, EmbeddedRegistry, spec
from tests.service.running import ready, running


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(var=tmp_path_factory.mktemp("var"), port=0, log_level="error")
    registry = EmbeddedRegistry(settings)
    registry.register("load", spec())
    registry.register("steps", spec(timeline=COUNTED, horizon=3))
    registry.register("point", spec(timeline=COUNTED, quantiles=()))
    registry.register("sites", spec(stat_exog=("area",)))
    with running(settings) as served:
        ready(served)
        yield served
