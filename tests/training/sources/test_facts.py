"""A panel in figures, and the digest that names its content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.timeline import Timeline
from training.panel import Panel, Series
from training.sources import Facts, Gap, describe, digest, load


def _panel(tmp_path: Path) -> Panel:
    path = tmp_path / "a.csv"
    path.write_text(
        "unique_id,ds,y,x\n"
        "a,2024-01-01,1,1\na,2024-01-02,,2\na,2024-01-05,3,1\na,2024-01-07,4,0\n"
        "b,2023-12-31,5,1\nb,2024-01-01,6,\n"
    )
    return load(path, freq="D", timezone="Europe/Berlin", futr_exog=("x",))


def test_gaps_are_told_and_not_refused(tmp_path: Path) -> None:
    assert describe(_panel(tmp_path)) == Facts(
        n_series=2,
        n_observations=5,
        missing=4,
        first="2023-12-31T00:00:00+01:00",
        last="2024-01-07T00:00:00+01:00",
        freq="D",
        timezone="Europe/Berlin",
        shortest=2,
        longest=7,
        gaps=(Gap("a", runs=2, steps=4),),
    )


def test_the_digest_is_the_same_on_every_machine(tmp_path: Path) -> None:
    assert digest(_panel(tmp_path)) == (
        "f758e8f5774d2ef3c7eef8d1dbc8c6233f1050408a5f4173f2b3bb96db8ebd6d"
    )


def test_the_order_of_series_and_the_bits_of_zero_and_nan_do_not_count(tmp_path: Path) -> None:
    panel = _panel(tmp_path)
    a, b = panel.series
    other = replace(
        a,
        y=np.where(np.isnan(a.y), -a.y, a.y),
        futr_exog=np.where(a.futr_exog == 0, -0.0, a.futr_exog),
    )
    assert np.signbit(other.futr_exog[-1, 0])
    assert digest(replace(panel, series=(b, other))) == digest(panel)


@pytest.mark.parametrize(
    "change",
    [
        {"unique_id": "c"},
        {"start": np.datetime64("2024-01-02", "us")},
        {"y": np.array([1.0, 2.0])},
        {"futr_exog": np.ones((9, 1))},
        {"stat_exog": np.ones(1)},
    ],
)
def test_whatever_a_series_holds_counts(tmp_path: Path, change: dict[str, Any]) -> None:
    panel = _panel(tmp_path)
    a, b = panel.series
    changed = replace(a, **change)
    assert digest(replace(panel, series=(changed, b))) != digest(panel)


def test_timeline_and_names_count(tmp_path: Path) -> None:
    panel = _panel(tmp_path)
    seen = {
        digest(panel),
        digest(replace(panel, timeline=Timeline(kind="time", freq="2D"))),
        digest(replace(panel, timeline=Timeline(kind="time", freq="D"))),
        digest(replace(panel, futr_exog=("y",))),
        digest(replace(panel, futr_exog=(), hist_exog=("x",))),
    }
    assert len(seen) == 5


def test_a_value_does_not_pass_for_its_neighbour() -> None:
    none = np.zeros((2, 0))

    def panel(*values: list[float]) -> Panel:
        series = tuple(
            Series(str(k), 0, np.array(v), none, none, np.zeros(0)) for k, v in enumerate(values)
        )
        return Panel(Timeline(kind="integer", freq="1"), series)

    assert digest(panel([1.0, 2.0], [3.0])) != digest(panel([1.0], [2.0, 3.0]))
