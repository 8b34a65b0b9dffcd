"""Fits within a time: as many batches as there is time for, and no more than the defaults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.training.pipelines import plan_of, steps_panel
from training.budget import within
from training.pipeline import Candidate

CUTOFFS = np.array([80, 80, 80])


def tried(batches: int) -> tuple[Candidate, ...]:
    """The candidates of a small plan."""
    return tuple(
        replace(each, schedule=each.schedule.model_copy(update={"batches": batches}))
        for each in plan_of(Path("nowhere")).candidates
    )


def batches(found: tuple[Candidate, ...]) -> set[int]:
    return {each.schedule.batches for each in found}


def test_a_short_time_has_fewer_batches_for_every_candidate(tmp_path: Path) -> None:
    found = within(
        5.0, steps_panel(), tried(10**6), CUTOFFS, folder=tmp_path / "steps", resume=False
    )
    assert len(batches(found)) == 1
    assert 20 <= batches(found).pop() < 10**6
    assert [each.name for each in found] == ["lstm", "gru"]


def test_a_long_time_changes_nothing(tmp_path: Path) -> None:
    given = tried(30)
    assert given == within(
        3600.0, steps_panel(), given, CUTOFFS, folder=tmp_path / "steps", resume=False
    )


def test_a_fit_that_goes_on_has_the_batches_that_it_began_with(tmp_path: Path) -> None:
    folder = tmp_path / "steps"
    began = within(5.0, steps_panel(), tried(10**6), CUTOFFS, folder=folder, resume=False)
    folder.mkdir()  # the fit has begun
    goes_on = within(1.0, steps_panel(), tried(10**6), CUTOFFS, folder=folder, resume=True)
    assert batches(goes_on) == batches(began)


def test_too_short_a_time_is_told_with_what_would_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give --budget as much"):
        within(1e-6, steps_panel(), tried(30), CUTOFFS, folder=tmp_path / "x", resume=False)


def test_the_note_of_a_fit_that_has_ended_is_not_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "steps"
    (tmp_path / "steps.budget.json").write_text("20", encoding="utf-8")
    again = within(3600.0, steps_panel(), tried(30), CUTOFFS, folder=folder, resume=True)
    assert batches(again) == {30}
