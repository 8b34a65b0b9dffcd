"""Whether the champion can be scored on the windows of those that would replace it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from store.conventions import CHAMPION
from tests.training.fits import COUNTED, HOURS, TASK, embedded, logged, panel, spec
from training.panel import Panel
from training.promotion.incumbents import incumbents, unfit
from training.registry import Registry, open_client


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    registry = embedded(tmp_path_factory.mktemp("registry") / "var")
    logged(registry)
    open_client(registry).set_registered_model_alias(TASK, CHAMPION, "1")
    return registry


def test_the_champion_stands_under_its_number(registry: Registry) -> None:
    assert set(incumbents(registry, TASK, spec(), panel())) == {"version 1"}


def test_one_that_cannot_forecast_the_windows_does_not_stand(registry: Registry) -> None:
    bare = Panel(HOURS, panel().series)
    assert incumbents(registry, TASK, spec(), bare) == {}
    words = replace(panel(), categories={"area": ("a", "b", "c", "d")})
    assert incumbents(registry, TASK, spec(), words) == {}
    assert incumbents(registry, TASK, spec(horizon=9), panel()) == {}
    assert incumbents(registry, "another", spec(), panel()) == {}


def test_why_it_cannot_is_said() -> None:
    assert unfit(spec(), spec(horizon=3)) is None
    assert unfit(spec(), spec(horizon=9)) == "it forecasts 6 steps, not 9"
    assert "frequency" in str(unfit(spec(), spec(COUNTED)))


def test_without_a_champion_nobody_stands(tmp_path: Path) -> None:
    registry = embedded(tmp_path / "var")
    logged(registry)
    assert incumbents(registry, TASK, spec(), panel()) == {}
