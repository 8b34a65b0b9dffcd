"""A search that is killed loses no trial that had ended, leaves no process, and is gone on with."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest

from tests.commands import FIT, gatecast, started, write_series
from tests.service.running import eventually
from tests.training.fits import embedded

pytestmark = [pytest.mark.slow, pytest.mark.long]

WORDS = ("--trials", "5", "--jobs", "2", "--cell", "gru", *FIT[:-2])


def test_a_killed_search_goes_on_with_its_trials(tmp_path: Path) -> None:
    embedded(tmp_path)
    data = write_series(tmp_path / "series.csv")
    search = started(tmp_path, "tune", str(data), *WORDS)
    assert search.stdout is not None
    for line in search.stdout:
        if "trial" in line:
            break
    children = psutil.Process(search.pid).children(recursive=True)
    search.kill()
    search.communicate()
    again = gatecast(tmp_path, "tune", str(data), *WORDS)
    assert again.returncode == 0, again.stderr
    before = re.search(r"Going on after (\d+) trials", again.stdout)
    assert before is not None, again.stdout
    assert int(before[1]) >= 1
    whole = re.search(r"The best of (\d+) trials", again.stdout)
    assert whole is not None, again.stdout
    assert int(whole[1]) >= 5
    assert "gru is version 1" in again.stdout
    eventually(lambda: not any(child.is_running() for child in children))
