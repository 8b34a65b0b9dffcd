"""A comparison of versions in full, as JSON, as CSV and as tables for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from training import render
from training.backtest import Backtest
from training.comparison.contest import Contest
from training.comparison.head_to_head import HeadToHead, Pair
from training.scores import METRICS

By = Literal["overall", "horizon", "series"]

_MOST_ROWS = 12
_NONE = "–"


def to_json(found: HeadToHead) -> str:
    """All of it as an object: what `gatecast compare` said of the versions, and `baselines`,
    `by_horizon`, `by_series` (rows of model, step or unique_id, and the metrics), `pairs`, `live`.
    """
    shared = found.shared
    told: dict[str, Any] = json.loads(render.to_json(found.comparison))
    told |= {
        "latency_measured": found.comparison.timed,
        "windows": None if shared is None else _windows(shared),
        "baselines": {} if shared is None else dict(_baselines(shared)),
        "pairs": [_pair(pair) for pair in found.pairs],
        "live": {str(number): dict(scores) for number, scores in found.live.items()},
        "by_horizon": [] if shared is None else shared.by_horizon().to_dicts(),
        "by_series": [] if shared is None else shared.by_series().to_dicts(),
    }
    return json.dumps(told, indent=2, allow_nan=False)


def to_csv(found: HeadToHead, by: By) -> str:
    """A line a version; or a line a model and step ahead, or a model and series."""
    if by == "overall":
        return render.to_csv(found.comparison)
    if found.shared is None:
        return ",".join(("model", "step" if by == "horizon" else "unique_id", *METRICS)) + "\n"
    table = found.shared.by_horizon() if by == "horizon" else found.shared.by_series()
    return table.write_csv()


def to_tables(found: HeadToHead, by: By) -> Iterator[RenderableType]:
    """For a terminal: versions, baselines, pairs and what changed; or MASE by step or series."""
    if by != "overall":
        yield _by(found, by)
        return
    yield render.to_table(found.comparison)
    if found.shared is not None and (baselines := dict(_baselines(found.shared))):
        table = Table("baselines", *baselines, title_justify="left")
        for metric in METRICS:
            table.add_row(metric.replace("_", " "), *(_cell(b[metric]) for b in baselines.values()))
        table.add_row("windows", *(str(b["n_windows"]) for b in baselines.values()))
        yield table
    if found.pairs:
        yield _pairs(found)
    for pair in found.pairs:
        yield from _changed(pair)
    if found.live:
        yield _live(found)


def _pairs(found: HeadToHead) -> Table:
    table = Table(title=f"Against version {found.pairs[0].against}", title_justify="left")
    for column in ("version", "MASE", "of the other", "difference", "95 % interval", "p (DM)"):
        table.add_column(column, justify="right")
    table.add_column("worst series", overflow="fold")
    for pair in found.pairs:
        contest = pair.contest
        if contest is None:
            table.add_row(str(pair.version), *(_NONE,) * 6)
            continue
        between = contest.relative
        worst = contest.series[0] if contest.series else None
        table.add_row(
            str(pair.version),
            _cell(contest.mase),
            _cell(contest.other_mase),
            f"{contest.change:+.2%}",
            f"{between.low:+.2%} … {between.high:+.2%}" if between else "too few",
            f"{contest.dm.p:.2g}" if contest.dm else "too few",
            f"{worst.name[:30]}: {worst.ours:.3g} / {worst.theirs:.3g}" if worst else _NONE,
        )
    return table


def _changed(pair: Pair) -> Iterator[Text]:
    changed = pair.changed
    head = f"From version {pair.against} to {pair.version}"
    if changed is None:
        yield Text(f"{head}: what changed is not known, a manifest cannot be fetched.")
        return
    parts = [
        f"{name}: {', '.join(said)}"
        for name, said in (("spec", changed.spec), ("data", changed.data), ("code", changed.code))
        if said
    ]
    yield Text(f"{head}: {'; '.join(parts) or 'nothing changed but the fit'}.")


def _live(found: HeadToHead) -> Table:
    names = sorted({name for scores in found.live.values() for name in scores})
    table = Table("version", *names, title="Live scores", title_justify="left")
    for number, scores in sorted(found.live.items(), reverse=True):
        table.add_row(str(number), *(_cell(scores.get(name)) for name in names))
    return table


def _by(found: HeadToHead, by: By) -> RenderableType:
    """MASE: a line a step or series, a column a model; of many an even choice."""
    if found.shared is None:
        return Text("No version has kept forecasts; --data scores them on the same windows.")
    scores = found.shared.scores
    steps = by == "horizon"
    keys = (
        [str(step) for step in range(1, found.shared.windows.horizon + 1)]
        if steps
        else list(found.shared.windows.unique_ids)
    )
    table = Table("MASE, step" if steps else "MASE, series", title_justify="left")
    for name in scores:
        table.add_column(name, justify="right")
    shown = np.unique(np.linspace(0, len(keys) - 1, min(len(keys), _MOST_ROWS)).round().astype(int))
    for row in shown:
        values = [(s.by_horizon if steps else s.by_series)["mase"][row] for s in scores.values()]
        table.add_row(keys[row][:40], *(_cell(float(value)) for value in values))
    if len(shown) < len(keys):
        table.caption = f"{len(shown)} of {len(keys)}; --format csv has all, and every metric"
        table.caption_justify = "left"
    return table


def _windows(shared: Backtest) -> dict[str, Any]:
    windows = shared.windows
    there = windows.origins >= 0
    return {
        "digest": windows.digest,
        "n_series": int(there.any(axis=1).sum()),
        "n_windows": int(there.sum()),
        "horizon": windows.horizon,
        "step_size": windows.step_size,
        "season": windows.season,
    }


def _baselines(shared: Backtest) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, scores in shared.scores.items():
        if not name.startswith("version "):
            metrics = {each: _number(value) for each, value in scores.overall.items()}
            yield name, metrics | {"n_windows": scores.n_windows}


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "version": pair.version,
        "against": pair.against,
        "contest": None if pair.contest is None else _contest(pair.contest),
        "changed": None if pair.changed is None else asdict(pair.changed),
    }


def _contest(contest: Contest) -> dict[str, Any]:
    told = asdict(contest)
    for name in ("name", "other", "bias", "bias_p", "other_bias"):
        del told[name]
    return {"change": _number(contest.change)} | told


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if np.isfinite(value) else None


def _cell(value: float | None) -> str:
    return _NONE if value is None or not np.isfinite(value) else f"{value:.4g}"
