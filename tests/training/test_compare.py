from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from store.conventions import CHAMPION
from tests.models.bundles import MEMORY
from tests.training.fits import TASK, embedded, logged, panel
from tests.training.told import facts_of, version_of
from training.compare import compare, compared, list_tasks
from training.registry import Registry, RegistryError, open_client
from training.render import tasks_json, tasks_table, to_csv, to_json, to_table
from training.scores import METRICS
from training.versions import Duel, read_facts


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    registry = embedded(tmp_path_factory.mktemp("registry") / "var")
    for cell in ("lstm", "gru"):
        logged(registry, panel(n_series=2), cell=cell)
    logged(registry, panel(n_series=1), task="other")
    client = open_client(registry)
    client.set_registered_model_alias(TASK, CHAMPION, "2")
    client.create_registered_model("of-somebody-else")
    return registry


def shown(table: Table) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_versions_of_a_task_come_newest_first(registry: Registry) -> None:
    comparison = compare(registry, TASK)
    assert [(row.version, row.cell, row.aliases) for row in comparison.rows] == [
        (2, "gru", (CHAMPION,)),
        (1, "lstm", ()),
    ]
    assert comparison.comparable
    assert comparison.warnings == ()
    row = comparison.rows[0]
    assert all(getattr(row, metric) is not None for metric in METRICS)
    assert row.last == "2024-04-06T09:00:00+02:00"
    assert row.vs_seasonal_naive is not None
    assert row.vs_auto_ets is None


def test_chosen_versions_only(registry: Registry) -> None:
    assert [row.version for row in compare(registry, TASK, [1]).rows] == [1]


def test_a_version_that_is_not_there_is_refused(registry: Registry) -> None:
    with pytest.raises(RegistryError, match="7"):
        compare(registry, TASK, [1, 7])


def test_tasks_are_the_registered_models_with_our_tag(registry: Registry) -> None:
    tasks = list_tasks(registry)
    assert [(task.task, task.n_versions, task.champion) for task in tasks] == [
        (TASK, 2, 2),
        ("other", 1, None),
    ]
    assert json.loads(tasks_json(tasks))[0]["champion"] == 2
    assert "other" in shown(tasks_table(tasks))


def test_a_registry_without_tasks_has_none(tmp_path: Path) -> None:
    assert list_tasks(embedded(tmp_path / "var")) == ()


def test_scores_over_different_windows_do_not_compare() -> None:
    comparison = compared(
        TASK,
        [
            version_of(3, facts_of(0.7, windows="b" * 64)),
            version_of(2, facts_of(0.8)),
            version_of(1, facts_of(0.9)),
        ],
    )
    assert not comparison.comparable
    assert comparison.warnings == (
        "Scored on different windows, so the scores do not compare: version 3; versions 1, 2.",
    )
    assert "do not compare" in shown(to_table(comparison))


def test_different_data_is_told_but_scores_on_the_same_windows_compare() -> None:
    comparison = compared(
        TASK, [version_of(2, facts_of(0.7, digest="e" * 64)), version_of(1, facts_of(0.8))]
    )
    assert comparison.comparable
    assert comparison.warnings == ("Fitted to different data.",)


def test_a_version_that_is_not_ours_is_shown_without_facts() -> None:
    comparison = compared(TASK, [version_of(2, None), version_of(1, facts_of())])
    assert comparison.rows[0].mase is None
    assert not comparison.comparable
    assert comparison.warnings == ("No scores are known of version 2.",)


def test_the_ratio_is_over_the_windows_that_both_answered() -> None:
    duels = {
        "seasonal_naive": Duel(forecaster=0.8, baseline=1.0, n_windows=6),
        "stl_auto_ets": Duel(forecaster=0.9, baseline=0.6, n_windows=2),
    }
    row = compared(TASK, [version_of(1, facts_of(0.8, duels=duels))]).rows[0]
    assert (row.vs_seasonal_naive, row.vs_auto_ets) == (0.8, 1.5)


@pytest.mark.parametrize(("naive", "mase"), [(None, 0.8), (1.0, None), (0.0, 0.8)])
def test_no_ratio_without_both_values(naive: float | None, mase: float | None) -> None:
    row = compared(TASK, [version_of(1, facts_of(mase, naive=naive))]).rows[0]
    assert row.vs_seasonal_naive is None


def test_json_holds_every_field() -> None:
    comparison = compared(TASK, [version_of(2, facts_of(0.7), CHAMPION), version_of(1, None)])
    told = json.loads(to_json(comparison))
    assert (told["task"], told["comparable"]) == (TASK, False)
    assert told["versions"][0]["aliases"] == [CHAMPION]
    assert told["versions"][0]["mase"] == 0.7
    assert told["versions"][1]["mase"] is None


def test_csv_reads_back() -> None:
    comparison = compared(
        TASK, [version_of(2, facts_of(0.7), CHAMPION, "challenger"), version_of(1, None)]
    )
    first, second = csv.DictReader(io.StringIO(to_csv(comparison)))
    assert (first["version"], first["aliases"], first["mase"]) == (
        "2",
        "champion challenger",
        "0.7",
    )
    assert (second["cell"], second["mase"]) == ("", "")


def test_few_versions_stand_side_by_side_and_many_below_each_other() -> None:
    few = compared(TASK, [version_of(k, facts_of(k / 10)) for k in (2, 1)])
    many = compared(TASK, [version_of(k, facts_of(k / 10)) for k in range(9, 0, -1)])
    assert len(to_table(few).columns) == 3
    assert to_table(many).row_count == 9


def test_the_best_of_a_loss_is_bold_only_if_scores_compare() -> None:
    def bold(*windows: str) -> list[str]:
        found = [version_of(k, facts_of(k / 10, windows=w)) for k, w in enumerate(windows, start=1)]
        table = to_table(compared(TASK, found))
        row = [list(column.cells)[7] for column in table.columns]
        return [str(cell) for cell in row if getattr(cell, "style", "") == "bold"]

    assert bold("a" * 64, "a" * 64) == ["0.1"]
    assert bold("a" * 64, "b" * 64) == []


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"mase":"low"}', '{"mase":null}', "null"])
def test_rubbish_in_a_tag_is_no_facts(registry: Registry, broken: str) -> None:
    tags = dict(open_client(registry).get_model_version(TASK, "1").tags)
    assert read_facts(tags) is not None
    assert read_facts(tags | {"gatecast.scores": broken}) is None


def test_the_memory_to_a_thousandth_is_shown_where_it_is_known() -> None:
    known, unknown = version_of(2, facts_of(memory=MEMORY)), version_of(1, facts_of())
    comparison = compared(TASK, [known, unknown])
    assert [row.memory for row in comparison.rows] == [90, None]
    line = next(line for line in shown(to_table(comparison)).splitlines() if "memory" in line)
    assert [cell.strip() for cell in line.split("│")[2:4]] == ["90", "–"]
    assert [row["memory"] for row in csv.DictReader(io.StringIO(to_csv(comparison)))] == ["90", ""]
