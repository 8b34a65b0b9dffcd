"""What a request asks of a forecast, and what another version makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from service.problems import ProblemError
from service.slots import Loaded
from service.streams.answers import Writer, ask
from tests.service.registries import COUNTED
from tests.service.streams.versions import TINY, tiny

WIDE = tiny(timeline=COUNTED)
NARROW = tiny(timeline=COUNTED, horizon=2, quantiles=(0.4, 0.5, 0.6))


def test_what_was_not_said_is_all_that_another_version_has() -> None:
    asked = ask("forecast=true", WIDE, wants=False, seconds=1.0)
    other = asked.of(NARROW)
    assert (asked.h, other.h) == (3, 2)
    assert other.columns.quantiles == NARROW.quantiles
    assert other.wants
    assert asked.of(WIDE) is asked


@pytest.mark.parametrize("query", ["h=3", "quantiles=0.1", "level=80"])
def test_what_another_version_has_not_got_is_refused(query: str) -> None:
    asked = ask(query, WIDE, wants=True, seconds=1.0)
    assert asked.of(tiny(timeline=COUNTED)) == asked
    with pytest.raises(ProblemError):
        asked.of(NARROW)


def test_an_answer_of_a_version_that_came_meanwhile_has_its_own_shape(loaded: Loaded) -> None:
    values = np.ones((TINY["horizon"], 3))
    wanted = ask("", NARROW, wants=True, seconds=1.0)
    answer = Writer().forecast(loaded, wanted, 1, values)
    assert answer is not None
    assert list(answer["quantiles"]) == ["0.1", "0.5", "0.9"]
    wanted = ask("quantiles=0.45", NARROW, wants=True, seconds=1.0)
    assert Writer().forecast(loaded, wanted, 1, values) is not None
    wider = tiny(timeline=COUNTED, quantiles=(0.05, 0.5, 0.95))
    wanted = ask("quantiles=0.05", wider, wants=True, seconds=1.0)
    assert Writer().forecast(loaded, wanted, 1, values) is None


@pytest.fixture
def loaded(versions: dict[str, list[Loaded]]) -> Loaded:
    """A version that counts steps."""
    return versions["counted"][0]
