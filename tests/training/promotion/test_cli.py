"""`gatecast promote` and `gatecast rollback`: statuses and JSON, as the service reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import gatecast as command
from store.conventions import CHAMPION
from store.database import open_database
from store.locks import holding
from tests.training.fits import TASK, embedded
from tests.training.planted import errors, plant
from training.registry import Registry, open_client


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A champion, a better version and a worse one."""
    folder = tmp_path_factory.mktemp("var")
    registry = embedded(folder)
    old = errors(0)
    plant(registry, old)
    plant(registry, 0.5 * old + 0.1 * errors(1), (1, old))
    plant(registry, 1.2 * old, (1, old))
    return folder


@pytest.fixture
def here(var: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GATECAST_VAR", str(var))
    client = open_client(Registry.embedded(var))
    client.set_registered_model_alias(TASK, CHAMPION, "1")
    client.delete_registered_model_alias(TASK, "previous")
    return var


KEYS = {"task", "status", "promoted", "champion", "previous", "reason", "reasons"}


def told(status: int, *words: str) -> dict[str, Any]:
    """The JSON on standard output of a command that ends with `status`."""
    result = CliRunner().invoke(command.app, [*words, "--json"])
    assert result.exit_code == status, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    assert set(answer) == KEYS
    assert answer["task"] == words[1]
    return answer


def test_a_better_version_is_promoted_and_rolled_back(here: Path) -> None:
    done = told(0, "promote", TASK, "--version", "2", "--reason", "less error", "--by", "me")
    assert (done["status"], done["promoted"], done["champion"], done["previous"]) == (
        "done", True, 2, 1,
    )  # fmt: skip
    assert {each["rule"] for each in done["reasons"]} >= {"sound", "margin", "significance"}
    again = told(0, "promote", TASK, "--version", "2")
    assert (again["promoted"], again["champion"], again["previous"]) == (False, 2, 1)
    back = told(0, "rollback", TASK, "--reason", "it runs high")
    assert (back["promoted"], back["champion"], back["previous"]) == (True, 1, None)
    none = told(4, "rollback", TASK)
    assert "no previous version" in none["reason"]


def test_a_refusal_has_its_own_status_and_its_reasons(here: Path) -> None:
    refused = told(3, "promote", TASK, "--version", "3")
    assert (refused["status"], refused["champion"]) == ("refused", 1)
    assert next(e["rule"] for e in refused["reasons"] if e["passed"] is False) == "margin"
    forced = told(0, "promote", TASK, "--version", "3", "--force", "--reason", "the rest is worse")
    assert (forced["promoted"], forced["champion"]) == (True, 3)


def test_force_without_a_reason_is_a_wrong_command(here: Path) -> None:
    result = CliRunner().invoke(command.app, ["promote", TASK, "--version", "2", "--force"])
    assert result.exit_code == 2
    assert "--reason" in result.stderr


def test_what_is_not_there_has_a_status_too(here: Path) -> None:
    assert "no version 99" in told(4, "promote", TASK, "--version", "99")["reason"]
    assert "no task" in told(4, "rollback", "another")["reason"]


def test_a_task_that_is_being_changed_is_busy(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.locks.WAIT_SECONDS", 0.1)
    told(0, "promote", TASK, "--version", "1")  # which makes the store
    store = open_database(f"sqlite:///{here}/gatecast.db")
    with holding(store, TASK, by="another"):
        assert told(5, "promote", TASK, "--version", "2")["status"] == "busy"
    store.close()


def test_a_store_that_cannot_be_had_is_a_fault(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GATECAST_DATABASE_URL", f"sqlite:///{tmp_path}/file/gatecast.db")
    assert told(1, "promote", TASK, "--version", "2")["status"] == "fault"


def test_a_registry_that_cannot_be_had_is_a_fault(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert told(1, "promote", TASK, "--version", "2")["status"] == "fault"


def test_people_are_told_rule_by_rule(here: Path) -> None:
    result = CliRunner().invoke(command.app, ["promote", TASK, "--version", "3"])
    assert result.exit_code == 3
    assert "REFUSED" in result.stdout
    assert "champion version 1, previous none" in result.stdout
