"""What is kept of a backtest comes back whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.synthetic import backtest_of, noise, windows_of
from training.comparison import kept
from training.comparison.kept import keep, named, read_kept


def test_a_backtest_comes_back_as_it_was(tmp_path: Path) -> None:
    windows = windows_of(4, 3)
    windows.origins[1, 0] = -1
    windows.truth[1, 0] = np.nan
    windows.scale[1, 0] = np.nan
    result = backtest_of(windows, ours=noise(windows, 0), theirs=noise(windows, 1))
    keep(tmp_path / "kept.npz", result, ["ours", "theirs"])
    back = read_kept(tmp_path / "kept.npz")
    assert back.windows.digest == windows.digest
    assert back.levels == result.levels
    for name, scores in result.scores.items():
        np.testing.assert_equal(back.scores[name].overall, scores.overall)
        np.testing.assert_array_equal(back.forecasts[name].values, result.forecasts[name].values)
    assert set(named(back, {"ours": "version 1"}).scores) == {"version 1", "theirs"}


def test_of_many_series_the_same_part_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MOST_NUMBERS", 700)
    windows = windows_of(20, 2)  # 60 numbers a series
    parts = []
    for seed in (0, 1):
        keep(tmp_path / f"{seed}.npz", backtest_of(windows, ours=noise(windows, seed)), ["ours"])
        parts.append(read_kept(tmp_path / f"{seed}.npz"))
    assert parts[0].windows.digest == parts[1].windows.digest
    assert len(parts[0].windows.unique_ids) == 11


@pytest.mark.parametrize("content", [b"", b"rubbish", b"PK\x05\x06" + bytes(18)])
def test_rubbish_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "kept.npz").write_bytes(content)
    with pytest.raises(ValueError, match="kept backtest"):
        read_kept(tmp_path / "kept.npz")


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    windows = windows_of(4, 3)
    keep(tmp_path / "kept.npz", backtest_of(windows, ours=noise(windows, 0)), ["ours"])
    with np.load(tmp_path / "kept.npz") as arrays:
        parts = dict(arrays)
    for name in ("truth", "values_0", "asked_0", "origins"):
        np.savez(tmp_path / "bad.npz", **(parts | {name: parts[name][:2]}))
        with pytest.raises(ValueError, match="fit together"):
            read_kept(tmp_path / "bad.npz")
