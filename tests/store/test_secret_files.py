"""Settings that hold passwords come from files too, and what is wrong with a file is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from store.settings import FROM_FILES, Settings

URL = "postgresql://gatecast:secret@postgres/gatecast"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in FROM_FILES.values():
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(f"{variable}_FILE", raising=False)


def test_each_is_read_from_the_file_that_its_variable_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in FROM_FILES.values():
        (tmp_path / variable).write_text(f"{URL}/{variable}\n")
        monkeypatch.setenv(f"{variable}_FILE", str(tmp_path / variable))
    settings = Settings()
    assert settings.store_url == f"{URL}/GATECAST_DATABASE_URL"
    assert settings.tracking_uri == f"{URL}/MLFLOW_TRACKING_URI"
    assert settings.registry_uri == f"{URL}/MLFLOW_REGISTRY_URI"
    assert "secret" not in repr(settings)


def test_a_registry_follows_a_tracking_uri_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "uri").write_text("http://mlflow:5000")
    monkeypatch.setenv("MLFLOW_TRACKING_URI_FILE", str(tmp_path / "uri"))
    assert Settings().registry_uri == "http://mlflow:5000"
    assert "tracking_uri" in Settings().model_fields_set


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "the file cannot be read (No such file or directory)"),
        (b" \n", "the file is empty"),
        (b"\xff\xfe", "the file cannot be read (it is no UTF-8 text)"),
    ],
)
def test_a_file_that_is_of_no_use_is_named(
    content: bytes | None, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "url").write_bytes(content)
    monkeypatch.setenv("GATECAST_DATABASE_URL_FILE", str(tmp_path / "url"))
    assert told() == ("database_url_file", reason)


def test_both_ways_at_once_are_an_error_that_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text(URL)
    monkeypatch.setenv("GATECAST_DATABASE_URL", URL)
    monkeypatch.setenv("GATECAST_DATABASE_URL_FILE", str(tmp_path / "url"))
    field, reason = told()
    assert (field, reason) == (
        "database_url_file",
        "GATECAST_DATABASE_URL is set too: set one of them",
    )


def told() -> tuple[str, str]:
    """The variable that is named, and what is said of it."""
    with pytest.raises(ValidationError) as raised:
        Settings()
    [fault] = raised.value.errors()
    assert "secret" not in str(raised.value)
    return str(fault["loc"][0]), fault["msg"]
