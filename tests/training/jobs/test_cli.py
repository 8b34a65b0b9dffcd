"""`gatecast schedule`, `retrain` and `runs`: what they do, and what they say when they cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import gatecast as command
from store.database import open_database
from store.leases import Token, claim, finish
from store.moment import now_of
from store.settings import Settings
from tests.commands import write_series


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GATECAST_VAR", str(tmp_path / "var"))
    monkeypatch.chdir(tmp_path)
    write_series(tmp_path / "series.csv")
    return tmp_path


def run(*words: str, status: int = 0) -> Result:
    result = CliRunner().invoke(command.app, words, env={"COLUMNS": "160"})
    assert result.exit_code == status, result.output
    return result


def read(*words: str) -> Any:
    return json.loads(run(*words, "--json").stdout)


NIGHTLY = ("schedule", "set", "load", "--cron", "0 3 * * *", "--source", "series.csv")


def test_a_schedule_is_set_shown_paused_and_removed(here: Path) -> None:
    said = run(*NIGHTLY, "--timezone", "Europe/Berlin", "--horizon", "4", "--season", "4").stdout
    assert "Task load is retrained next at " in said
    assert "T03:00:00+0" in said
    shown = read("schedule", "show", "load")
    assert shown["source"] == str(here / "series.csv")  # whoever runs it is elsewhere
    assert shown["options"] == {"horizon": 4, "season": [4]}
    assert (shown["cron"], shown["missed"], shown["on_drift"]) == ("0 3 * * *", "latest", False)
    assert read("schedule", "list") == [shown]
    run("schedule", "pause", "load")
    assert read("schedule", "show", "load")["enabled"] is False
    assert "paused" in run("schedule", "list").stdout
    run("schedule", "pause", "load", "--resume")
    assert read("schedule", "show", "load")["enabled"] is True
    run("schedule", "remove", "load")
    assert read("schedule", "list") == []


def test_a_schedule_without_cron_is_for_people_and_drift() -> None:
    said = run("schedule", "set", "load", "--source", "log", "--on-drift").stdout
    assert "by hand and on drift" in said
    assert read("schedule", "show", "load")["next_due"] is None


def test_passwords_are_not_shown() -> None:
    url = "postgresql://me:secret@db/plant"
    run("schedule", "set", "load", "--source", url, "--query", "SELECT 1")
    for words in (("show", "load"), ("list",), ("show", "load", "--json"), ("list", "--json")):
        assert "secret" not in run("schedule", *words).stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("schedule", "set", "load", "--source", "log", "--cron", "61 * * * *"), "bad minute"),
        (("schedule", "set", "load", "--source", "log", "--cron", "nightly"), "no cron expression"),
        (("schedule", "set", "load", "--source", "log", "--timezone", "Mars"), "Mars"),
        (("schedule", "set", "load", "--source", "gone.csv"), "there is no file"),
        (("schedule", "set", "load", "--source", "log", "--query", "SELECT 1"), "for databases"),
        (("schedule", "set", "LOAD!", "--source", "log"), "a task name has"),
        (("schedule", "set", "load", "--source", "log", "--season", "x"), "list of whole numbers"),
        (("schedule", "show", "load"), "has no schedule"),
        (("schedule", "pause", "load"), "has no schedule"),
        (("schedule", "remove", "load"), "has no schedule"),
        (("retrain", "load"), "--source"),
        (("runs", "7"), "there is no run 7"),
        (("runs", "7", "--cancel"), "there is no run 7"),
        (("runs", "--follow"), "say which run"),
    ],
)
def test_what_cannot_be_is_told(words: tuple[str, ...], reason: str) -> None:
    result = run(*words, status=1)
    assert result.stderr.startswith("gatecast: ")
    assert reason in result.stderr


def test_a_run_is_queued_listed_and_cancelled() -> None:
    run(*NIGHTLY)
    assert "Run 1 is queued: gatecast runs 1 --follow" in run("retrain", "load", "--detach").stdout
    assert read("retrain", "load", "--detach")["id"] == 1  # it waits already
    assert read("retrain", "load", "--source", "log", "--detach")["id"] == 2
    listed = read("runs", "--task", "load")
    assert [(each["id"], each["trigger"], each["status"]) for each in listed] == [
        (2, "manual", "queued"),
        (1, "manual", "queued"),
    ]
    assert read("runs", "1", "--cancel")["status"] == "cancelled"
    assert "cancelled" in run("runs").stdout
    assert "Run 1 cancelled" in run("runs", "1").stdout


def test_a_finished_run_shows_its_log_and_its_outcome() -> None:
    run("retrain", "load", "--source", "log", "--detach")
    database = open_database(Settings().store_url)
    outcome = {"versions": {"gru": 4}, "champion": 3, "reason": "version 4 is worse"}
    with database.writing() as connection:
        now = now_of(connection)
        mine = claim(connection, "me", now, lease=60_000, attempts=3)
        assert mine is not None
        finish(connection, Token(mine.id, mine.fence), now, "refused", outcome=json.dumps(outcome))
    database.close()
    assert (
        "Run 1 refused. gru is version 4: version 4 is worse" in run("runs", "1", "--follow").stdout
    )
    assert "version 4 refused" in run("runs").stdout
    assert read("runs", "1")["outcome"] == outcome


def test_a_database_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATECAST_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    result = run("runs", status=1)
    assert result.stderr == "gatecast: the store: the database cannot be reached\n"


@pytest.mark.slow
def test_a_task_is_retrained_in_the_foreground() -> None:
    words = ("--horizon", "4", "--season", "4", "--cell", "lstm", "--threads", "1")
    done = run("retrain", "load", "--source", "series.csv", *words, "--json")
    answer = json.loads(done.stdout)
    assert answer["status"] in ("succeeded", "refused")
    assert answer["outcome"]["versions"] == {"lstm": 1}
    assert answer["outcome"]["snapshot"]["n_series"] == 2
    assert "fit lstm" in done.stderr
