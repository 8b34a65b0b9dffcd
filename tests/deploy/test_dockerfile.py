"""The Dockerfile takes what is there, in the versions that were tested, and runs it as nobody."""

from __future__ import annotations

import re
import tomllib

import pytest

from processes.compose import ROOT
from tests.deploy.command_lines import check
from tests.deploy.dockerfile import instructions, stages

ROLES = ("service", "scheduler", "mlflow")
IGNORED = (ROOT / ".dockerignore").read_text("utf-8").splitlines()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_runs_its_command_as_somebody_without_rights(role: str) -> None:
    stage = stages()[role]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", stage.user)
    check(stage.command)


def test_what_is_copied_is_there_and_not_ignored() -> None:
    copied = [source for stage in stages().values() for source in stage.copied]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in IGNORED, source
    assert IGNORED[0] == "*"


def test_every_package_of_ours_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["setuptools"]["packages"]
    copied = {*stages()["build"].copied}
    assert {package.partition(".")[0] for package in packages} <= copied
    assert {f"{module}.py" for module in project["tool"]["setuptools"]["py-modules"]} <= copied


def test_what_is_installed_is_what_the_lock_says() -> None:
    installs = [
        command
        for stage in stages().values()
        for command in stage.run
        if re.search(r"\bpip install\b", command)
    ]
    assert installs
    for command in installs:
        assert "--constraint requirements.lock" in command
        assert re.search(r'"\.\[postgres\]"$', command)


def test_images_have_a_version() -> None:
    for stage in stages().values():
        assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", stage.image), stage.image


def test_no_instruction_holds_a_secret() -> None:
    for word, rest in instructions():
        if word in {"ENV", "ARG"}:
            assert not re.search("password|secret|token", rest, re.IGNORECASE)
