from pathlib import Path

import pytest
from pydantic import ValidationError

from store.settings import MASK, Settings, masked


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)


def test_without_any_variable_everything_is_under_var() -> None:
    settings = Settings()
    assert settings.var == Path("var").absolute()
    assert settings.tracking_uri == settings.registry_uri == f"sqlite:///{settings.var}/mlflow.db"
    assert settings.artifacts == settings.var / "mlartifacts"
    assert settings.bundles == settings.var / "bundles"
    assert settings.host == "127.0.0.1"
    assert settings.database_url is None


def test_variables_with_the_prefix_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATECAST_VAR", "/srv/gatecast")
    monkeypatch.setenv("GATECAST_PORT", "9000")
    monkeypatch.setenv("GATECAST_TASKS", "load-hourly, co2,")
    monkeypatch.setenv("GATECAST_HOST", "")
    settings = Settings()
    assert settings.var == Path("/srv/gatecast")
    assert settings.tracking_uri == "sqlite:////srv/gatecast/mlflow.db"
    assert settings.port == 9000
    assert settings.tasks == ("load-hourly", "co2")
    assert settings.host == "127.0.0.1"


def test_mlflows_own_variables_are_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert Settings().registry_uri == "http://mlflow:5000"
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "http://registry:5000")
    settings = Settings()
    assert (settings.tracking_uri, settings.registry_uri) == (
        "http://mlflow:5000",
        "http://registry:5000",
    )


def test_variables_of_others_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("TRACKING_URI", "sqlite:///elsewhere.db")
    assert Settings().port == 8000
    assert "elsewhere" not in Settings().tracking_uri


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1  # type: ignore[misc]  # the mistake that is tested


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GATECAST_PORT", "70000"),
        ("GATECAST_POLL_SECONDS", "0"),
        ("GATECAST_POLL_SECONDS", "nan"),
        ("GATECAST_BODY_SECONDS", "inf"),
        ("GATECAST_MAX_SERIES", "-1"),
        ("GATECAST_TASKS", "../etc"),
        ("GATECAST_LOG_LEVEL", "loud"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert name.removeprefix("GATECAST_").lower() in str(caught.value)


def test_a_refused_value_is_not_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATECAST_PORT", "hunter2")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "hunter2" not in str(caught.value)


def test_what_may_be_shown_holds_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATECAST_DATABASE_URL", "postgresql+psycopg://me:hidden1@db/gatecast")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:hidden2@mlflow/path?token=hidden3&a=b")
    settings = Settings()
    for shown in (str(settings.public()), repr(settings), str(settings)):
        assert "hidden" not in shown
    assert settings.public()["database_url"] == f"postgresql+psycopg://me:{MASK}@db/gatecast"
    assert settings.public()["tracking_uri"] == f"https://me:{MASK}@mlflow/path?token={MASK}&a=b"


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sqlite:////var/mlflow.db", "sqlite:////var/mlflow.db"),
        ("databricks", "databricks"),
        ("postgresql://user@host:5432/name", "postgresql://user@host:5432/name"),
        ("postgresql://user:p@ss@host/name", f"postgresql://user:{MASK}@host/name"),
        ("postgresql://user:p/ss@host/name", MASK),
        ("https://token@host/", f"https://{MASK}@host/"),
        ("s3://bucket/a?X-Amz-Signature=1", f"s3://bucket/a?X-Amz-Signature={MASK}"),
        ("user:password@host", MASK),
    ],
)
def test_passwords_and_tokens_in_urls_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
