"""Versions in full: on the same windows, against the champion, and what is said where they lack."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars.selectors as cs
import pytest
from typer.testing import CliRunner

import gatecast as command
from store.conventions import CHAMPION
from tests.models.bundles import MEMORY
from tests.training.fits import TASK, embedded
from tests.training.planted import PANEL, errors, plant
from training.comparison.changes import changes
from training.comparison.head_to_head import head_to_head
from training.comparison.joint import kept_together
from training.comparison.render import to_json
from training.load_version import load_manifest
from training.origins import rolling_windows
from training.registry import Registry, open_client
from training.versions import Cost, versions

ELSEWHERE = rolling_windows(PANEL, horizon=6, season=24, n_windows=10, step_size=5)


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The champion, one better on the same windows, one of other windows, one without a run."""
    folder = tmp_path_factory.mktemp("var")
    registry = embedded(folder)
    old = errors(0)
    plant(registry, old)
    plant(registry, 0.5 * old + 0.1 * errors(1), (1, old))
    plant(registry, 0.5 * old, windows=ELSEWHERE)
    client = open_client(registry)
    first = versions(registry, TASK)[-1]
    tags = client.get_model_version(TASK, "1").tags
    client.create_model_version(TASK, source=first.source, tags=tags)
    client.set_registered_model_alias(TASK, CHAMPION, "1")
    frame = pl.DataFrame(
        {
            "unique_id": [s.unique_id for s in PANEL.series for _ in range(len(s))],
            "ds": np.concatenate([np.arange(7, 7 + len(s)) for s in PANEL.series]),
            "y": np.concatenate([s.y for s in PANEL.series]),
            "temperature": np.concatenate([s.hist_exog[:, 0] for s in PANEL.series]),
            "price": np.concatenate([s.futr_exog[:200, 0] for s in PANEL.series]),
            "area": np.concatenate([np.full(len(s), s.stat_exog[0]) for s in PANEL.series]),
        }
    )
    frame.with_columns(cs.float().fill_nan(None)).write_csv(folder / "data.csv")
    return folder


@pytest.fixture
def here(var: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GATECAST_VAR", str(var))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(var)
    return var


def run(*words: str) -> str:
    result = CliRunner().invoke(command.app, ["compare", TASK, *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def told(*words: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run("--format", "json", *words))
    return answer


def test_versions_are_held_against_the_champion_on_the_windows_that_most_share(here: Path) -> None:
    answer = told()
    by_number = {row["version"]: row for row in answer["versions"]}
    assert by_number[1]["mase"] > by_number[2]["mase"]
    assert by_number[1]["windows"] == by_number[2]["windows"] == answer["windows"]["digest"]
    assert set(answer["baselines"]) == {"seasonal_naive"}
    pairs = {pair["version"]: pair for pair in answer["pairs"]}
    assert set(pairs) == {2, 3, 4}
    contest = pairs[2]["contest"]
    assert contest["change"] == pytest.approx(
        by_number[2]["mase"] / by_number[1]["mase"] - 1, abs=1e-4
    )
    assert contest["dm"]["p"] < 0.01
    assert contest["relative"]["high"] < 0
    assert pairs[3]["contest"] is None
    assert {row["model"] for row in answer["by_horizon"]} == {
        "version 1", "version 2", "seasonal_naive",
    }  # fmt: skip
    assert {row["unique_id"] for row in answer["by_series"]} == {"site-0", "site-1", "site-2"}


def test_what_a_version_lacks_is_said_with_what_to_do(here: Path) -> None:
    warnings = " ".join(told()["warnings"])
    assert "version 3 was never scored on these windows: gatecast compare TASK --data" in warnings
    assert "version 4 has no kept forecasts" in warnings
    assert told("--versions", "1,2")["warnings"] == []


def test_with_data_all_are_scored_anew_and_timed_here(here: Path) -> None:
    answer = told("--data", "data.csv", "--n-windows", "4")
    assert [row["version"] for row in answer["versions"]] == [4, 3, 2, 1]
    assert len({row["mase"] for row in answer["versions"]}) == 1  # they share their weights
    assert all(row["step_ms"] > 0 for row in answer["versions"])
    assert answer["latency_measured"] == "now"
    assert answer["warnings"] == []
    assert answer["windows"]["n_windows"] == 12
    assert all(pair["contest"]["dm"]["p"] == 1.0 for pair in answer["pairs"])


def test_tables_and_csv_have_a_line_for_what_is_asked(here: Path) -> None:
    said = run()
    for words in ("Against version 1", "seasonal_naive", "95 % interval", "bundle, bytes"):
        assert words in said
    assert "nothing changed but the fit" in said
    assert "MASE, step" in run("--by", "horizon")
    assert "site-1" in run("--by", "series")
    rows = list(csv.DictReader(io.StringIO(run("--format", "csv", "--by", "horizon"))))
    assert {row["step"] for row in rows} == {str(step) for step in range(1, 7)}
    assert len(list(csv.DictReader(io.StringIO(run("--format", "csv"))))) == 4


def test_a_chart_is_drawn(here: Path) -> None:
    run("--plot", "chart.png")
    assert (here / "chart.png").read_bytes().startswith(b"\x89PNG")
    result = CliRunner().invoke(
        command.app, ["compare", TASK, "--versions", "4", "--plot", "none.png"]
    )
    assert result.exit_code == 1
    assert "--data scores them" in result.stderr


def test_live_scores_are_shown_where_they_are_given(var: Path) -> None:
    registry = Registry.embedded(var)
    every = versions(registry, TASK)
    found = head_to_head(
        registry, TASK, every, every, kept_together(registry, every), live={2: {"mase": 0.7}}
    )
    assert json.loads(to_json(found))["live"] == {"2": {"mase": 0.7}}


def test_what_changed_is_told_by_kind(var: Path) -> None:
    registry = Registry.embedded(var)
    before = load_manifest(registry, versions(registry, TASK)[-1])
    after = before.model_copy(
        update={
            "spec": before.spec.model_copy(update={"hidden_size": 8}),
            "data": before.data.model_copy(update={"last": 300}),
            "libraries": before.libraries | {"torch": "9.9"},
            "memory": MEMORY,
        }
    )
    cost = Cost(seconds=1, bytes=1, step_ms=1, batch_ms=1, gatecast="0.1.0", commit=None)
    newer = cost.model_copy(update={"gatecast": "0.2.0"})
    found = changes(before, after, cost, newer)
    assert found.spec == ("hidden_size: 4 → 8",)
    assert found.data == ("last: 206 → 300",)
    assert [each.partition(":")[0] for each in found.code] == ["torch", "gatecast"]
    assert changes(before, before, cost, cost) == replace(found, spec=(), data=(), code=())
