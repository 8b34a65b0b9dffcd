"""A backtest on disk: what every forecaster said of every window, so that it can be judged anew.

Kept with each fit, it lets versions be compared pair by pair later, without the data. Arrays in one
`.npz`, of which nothing is ever unpickled.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.backtest import Backtest, judge
from training.origins import Windows
from training.scores import Forecasts

KEPT = "backtest/forecasts.npz"
"""Where a run keeps it."""

MOST_NUMBERS = 8_000_000
"""Beyond it a part of the series is kept: 64 MB before compression."""

_MOST_BYTES = 2**30


def keep(path: Path, result: Backtest, names: Sequence[str]) -> None:
    """Write the forecasts of `names`, of all series or of a part of them that their ids decide.

    The part is the same for every backtest of the same series, horizon and forecasters.
    """
    windows = result.windows
    levels = {name: result.forecasts[name].levels for name in names}
    a_series = windows.truth[0].size * sum(len(each) or 1 for each in levels.values())
    rows = _part(windows.unique_ids, MOST_NUMBERS // max(a_series, 1))
    head = {
        "format": 1,
        "unique_ids": [windows.unique_ids[row] for row in rows],
        "n_series": len(windows.unique_ids),
        "step_size": windows.step_size,
        "season": windows.season,
        "levels": list(result.levels),
        "forecasters": [{"name": name, "levels": list(levels[name])} for name in names],
    }
    arrays: dict[str, NDArray[np.generic]] = {
        "series": windows.series[rows],
        "origins": windows.origins[rows],
        "truth": windows.truth[rows],
        "scale": windows.scale[rows],
    }
    for place, name in enumerate(names):
        arrays[f"values_{place}"] = result.forecasts[name].values[rows]
        arrays[f"asked_{place}"] = result.forecasts[name].asked[rows]
    text = np.frombuffer(json.dumps(head).encode(), dtype=np.uint8)
    with path.open("wb") as file:
        np.savez_compressed(file, head=text, **arrays)  # type: ignore[arg-type]


def read_kept(path: Path) -> Backtest:
    """The backtest as it was, its scores computed anew. Raises ValueError for anything else."""
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(each.file_size for each in packed.infolist()) > _MOST_BYTES:
                raise ValueError("it is too large")
        with np.load(path) as arrays:
            return _read(dict(arrays))
    except (OSError, KeyError, TypeError, IndexError, zipfile.BadZipFile) as error:
        raise ValueError(f"no kept backtest: {error}") from error


def _read(arrays: dict[str, NDArray[np.generic]]) -> Backtest:
    head = json.loads(arrays["head"].tobytes())
    if head["format"] != 1:
        raise ValueError("it is of a newer format")
    truth, scale = (np.asarray(arrays[name], np.float64) for name in ("truth", "scale"))
    origins = np.asarray(arrays["origins"], np.int64)
    windows = Windows(
        series=np.asarray(arrays["series"], np.int64),
        unique_ids=tuple(map(str, head["unique_ids"])),
        origins=origins,
        truth=truth,
        scale=scale,
        step_size=int(head["step_size"]),
        season=int(head["season"]),
        left_out=(),
    )
    shape = (len(windows.unique_ids), *truth.shape[1:2])
    if truth.ndim != 3 or not origins.shape == scale.shape == shape == truth.shape[:2]:
        raise ValueError("its arrays do not fit together")
    forecasts = {}
    for place, each in enumerate(head["forecasters"]):
        levels = tuple(map(float, each["levels"]))
        values = np.asarray(arrays[f"values_{place}"], np.float64)
        asked = np.asarray(arrays[f"asked_{place}"], np.bool_)
        if values.shape != (*truth.shape, len(levels) or 1) or asked.shape != shape:
            raise ValueError("its arrays do not fit together")
        forecasts[str(each["name"])] = Forecasts(levels, values, asked)
    return judge(windows, forecasts, tuple(map(float, head["levels"])))


def named(result: Backtest, names: dict[str, str]) -> Backtest:
    """The same with forecasters renamed: new name by old."""
    return replace(
        result,
        forecasts={names.get(name, name): each for name, each in result.forecasts.items()},
        scores={names.get(name, name): each for name, each in result.scores.items()},
    )


def _part(unique_ids: Sequence[str], most: int) -> NDArray[np.int64]:
    """Rows of at most so many series, those whose ids have the least digests."""
    rows = np.arange(len(unique_ids))
    if len(rows) <= most:
        return rows
    digests = [sha256(unique_id.encode()).digest() for unique_id in unique_ids]
    return np.sort(np.array(sorted(rows.tolist(), key=digests.__getitem__)[: max(most, 1)]))
