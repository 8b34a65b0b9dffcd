"""`docker-compose.yml` is held to its rules: no engine runs here to tell what is wrong with it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from processes.compose import FILE, ROOT, SECRETS, mounts, program, services
from service.app import create_app
from store.secret_files import SUFFIX
from store.settings import FROM_FILES, Settings
from tests.deploy.command_lines import check, mlflow_variables
from tests.deploy.dockerfile import stages

FILE_TEXT = FILE.read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(FILE_TEXT)
SERVICES = services()
BUILT = [name for name, service in SERVICES.items() if "build" in service]
POSTGRES_IMAGE_READS = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD_FILE"}
URL = re.compile(r"http://127\.0\.0\.1:(\d+)(/\S*)")


def test_it_is_what_the_compose_specification_describes() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, str(FILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_roles_are_there_and_start_after_what_they_need() -> None:
    order = list(SERVICES)
    assert {*order} == {"postgres", "mlflow", "service", "scheduler"}
    assert order[:2] == ["postgres", "mlflow"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_command_is_one_of_ours_with_options_that_it_has(name: str) -> None:
    if "command" not in SERVICES[name]:
        return
    words = program(name, SERVICES[name], {"nothing": "nothing"}).command
    if words[0] == "sh":
        assert len(words) == 3
        assert words[1] == "-c"
        whole = shlex.split(words[2])
        words = tuple(whole[whole.index("exec") + 1 :])
    else:
        assert words[:3] == (sys.executable, "-m", "gatecast")
        words = ("gatecast", *words[3:])
    check(words)


@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_is_a_setting_that_is_read(name: str) -> None:
    ours = {
        str(field.validation_alias or f"GATECAST_{each.upper()}")
        for each, field in Settings.model_fields.items()
    }
    ours |= {variable + SUFFIX for variable in FROM_FILES.values()}
    theirs = mlflow_variables()
    for variable in SERVICES[name].get("environment", {}):
        known = {"postgres": POSTGRES_IMAGE_READS, "mlflow": theirs}.get(name, ours)
        assert variable in known, variable


@pytest.mark.parametrize("name", ["service", "scheduler"])
def test_the_settings_that_ours_are_given_are_valid(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "database_url").write_text("postgresql://gatecast:x@postgres/gatecast")
    given = program(name, SERVICES[name], {SECRETS: f"{tmp_path}/"}).environment
    for variable in ("GATECAST_DATABASE_URL", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    settings = Settings()
    assert settings.store_url.startswith("postgresql://")
    assert str(settings.var) in mounts(SERVICES[name])
    assert settings.tracking_uri == "http://mlflow:5000"
    grace = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert grace > 2 * settings.drain_seconds, "killed before it has given up by itself"


@pytest.mark.parametrize("name", SERVICES)
def test_health_is_asked_at_a_port_and_a_path_that_are_there(name: str, tmp_path: Path) -> None:
    test = [str(word) for word in SERVICES[name]["healthcheck"]["test"]]
    assert test[0] == "CMD"
    if name == "postgres":
        assert test[1] == "pg_isready"
        return
    assert test[1:4] == ["python", "-m", "processes.health"]
    asked = URL.fullmatch(test[4])
    if asked is None:
        assert test[4] == "store"
        return
    port, path = asked.groups()
    assert f"127.0.0.1:{port}:{port}" in SERVICES[name]["ports"]
    if name == "service":
        assert SERVICES[name]["environment"]["GATECAST_PORT"] == port
        routes = create_app(Settings(var=tmp_path)).openapi()["paths"]
        assert "get" in routes[path]
    else:
        assert path == "/health"
        assert f"--port {port}" in SERVICES[name]["command"][-1]


def test_every_published_port_is_one_of_this_machine_only() -> None:
    for service in SERVICES.values():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "there is no login"


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_is_root_and_nobody_may_become_it(name: str) -> None:
    service = SERVICES[name]
    user = service.get("user") or stages()[service["build"]["target"]].user
    assert user.partition(":")[0] not in {"", "0", "root"}
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not service.get("privileged")


@pytest.mark.parametrize("name", BUILT)
def test_ours_write_to_their_volumes_only(name: str) -> None:
    assert SERVICES[name]["read_only"]
    stage = stages()[SERVICES[name]["build"]["target"]]
    for place in mounts(SERVICES[name]):
        assert place in stage.owned, "a new volume takes the owner of what it is mounted on"


def words_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from words_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from words_of(each)
    else:
        yield str(value)


def test_no_secret_stands_in_the_file() -> None:
    assert not any(re.search(r"://[^/\s]*:[^/\s]*@", word) for word in words_of(COMPOSE))
    for service in SERVICES.values():
        for variable in service.get("environment", {}):
            if re.search("PASSWORD|SECRET|TOKEN|DATABASE_URL|STORE_URI", variable):
                assert variable.endswith(SUFFIX), variable


def test_every_secret_is_a_file_that_git_does_not_take_and_somebody_reads() -> None:
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    named = {secret for service in SERVICES.values() for secret in service.get("secrets", ())}
    assert named == COMPOSE["secrets"].keys()
    for name, secret in COMPOSE["secrets"].items():
        assert Path(secret["file"]).parent.name + "/" in ignored
        assert f"{SECRETS}{name}" in FILE_TEXT


def test_every_image_has_a_version_and_every_volume_and_target_is_there() -> None:
    for service in SERVICES.values():
        assert re.fullmatch(r"[a-z-]+:\d+\.\d+[\w.-]*", service["image"]), service["image"]
        assert {*mounts(service).values()} <= COMPOSE["volumes"].keys()
        if "build" in service:
            assert service["build"]["target"] in stages()
            assert (ROOT / service["build"]["context"]).resolve() == ROOT


def test_everything_waits_for_its_database_to_be_well() -> None:
    for name in BUILT:
        assert SERVICES[name]["depends_on"]["postgres"]["condition"] == "service_healthy"
