"""What a run learnt from is kept as it was, and read back to the last bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.fits import COUNTED, HOURS, panel
from tests.training.pipelines import steps_panel
from training.holidays import with_holidays
from training.jobs.snapshot import prune_snapshots, read_snapshot, write_snapshot
from training.panel import Panel
from training.sources import SourceError, digest

WORDS = replace(panel(HOURS), categories={"area": ("a", "east", "north", "west")})
PANELS = {
    "hours": panel(HOURS),
    "counted": panel(COUNTED),
    "bare": steps_panel(),
    "categories": WORDS,
    "holidays": with_holidays(panel(HOURS), "DE"),
}


@pytest.mark.parametrize("given", PANELS.values(), ids=PANELS.keys())
def test_a_snapshot_comes_back_as_it_was(given: Panel, tmp_path: Path) -> None:
    written = write_snapshot(tmp_path / "1", given, "load.csv")
    found = read_snapshot(tmp_path / "1")
    assert found is not None
    back, facts = found
    assert facts == written
    assert digest(back) == digest(given) == facts.digest
    assert (back.categories, back.holidays) == (given.categories, given.holidays)
    assert [series.unique_id for series in back.series] == [s.unique_id for s in given.series]
    assert facts.n_series == len(given.series)
    assert [each.name for each in tmp_path.iterdir()] == ["1"]


def test_where_there_is_none_none_is_found(tmp_path: Path) -> None:
    assert read_snapshot(tmp_path / "1") is None


def test_an_altered_snapshot_is_refused(tmp_path: Path) -> None:
    write_snapshot(tmp_path / "1", PANELS["bare"], "a")
    write_snapshot(tmp_path / "2", PANELS["counted"], "b")
    for name in ("series.parquet",):
        (tmp_path / "1" / name).write_bytes((tmp_path / "2" / name).read_bytes())
    with pytest.raises(SourceError, match="snapshot"):
        read_snapshot(tmp_path / "1")
    (tmp_path / "2" / "series.parquet").write_bytes(b"rubbish")
    with pytest.raises(SourceError, match="cannot be read"):
        read_snapshot(tmp_path / "2")


def test_old_snapshots_of_the_task_go(tmp_path: Path) -> None:
    for name in ("1", "2", "3"):
        (tmp_path / name).mkdir()
    prune_snapshots(tmp_path, keep={3}, mine={1, 3})
    assert sorted(each.name for each in tmp_path.iterdir()) == ["2", "3"]
