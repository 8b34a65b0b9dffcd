"""The guides say what is so: their code runs, and nothing that a person may set is left out."""

from __future__ import annotations

import json
import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

import gatecast
from benchmarks.__main__ import NAMES
from service.forecast_answer import ForecastAnswer
from service.forecast_request import read_request
from service.json_body import validated
from service.operations.requests import NewSchedule, Promotion
from service.problems import Problem, ProblemError
from store.secret_files import SUFFIX
from store.settings import FROM_FILES, Settings
from tests.docs_pages import (
    GUIDES,
    PAGES,
    ROOT,
    RUN,
    Block,
    anchors,
    blocks,
    expectations,
    links,
    make_commands,
    outputs,
    shows,
)

_SLOW = {
    "README.md",
    "comparing.md",
    "data.md",
    "fitting.md",
    "retraining.md",
    "serving.md",
    "streams.md",
}
"""Pages that start processes that import MLflow, or fit."""
_RUNNABLE = [page for page in GUIDES if any(block.language in RUN for block in blocks(page))]
_JSON = [
    (before, block)
    for page in GUIDES
    for before, block in pairwise((None, *blocks(page)))
    if block is not None and block.language == "json"
]
_PROBLEM = re.compile(r'(?<!:)\{"type":"(urn:gatecast|about:blank)')
"""An answer that is a problem; behind a colon it is an example in the OpenAPI document."""
_DOCS = "\n".join(page.read_text("utf-8") for page in GUIDES)


def _name(value: object) -> str:
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow if page.name in _SLOW else (), id=_name(page))
        for page in _RUNNABLE
    ],
)
def test_a_page_does_what_it_shows(page: Path, tmp_path: Path) -> None:
    said = outputs(page, tmp_path)
    for block, expected in expectations(page):
        assert shows(expected.text, said[block]), f"{expected} is not in:\n{said[block]}"
    for block, output in said.items():
        assert not _PROBLEM.search(output), (
            f"{block} was answered with a problem:\n{output[-2000:]}"
        )


@pytest.mark.parametrize("page", GUIDES, ids=_name)
def test_every_block_is_of_a_kind_that_is_checked(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= {*RUN, "json", "text", ""}


def test_every_make_target_in_the_docs_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    for page in GUIDES:
        for block in blocks(page):
            for target, *arguments in make_commands(block):
                assert target in targets
                if target == "bench":
                    assert {each.removeprefix("ARGS=") for each in arguments} <= set(NAMES)
    named = set().union(*(re.findall(r"`make ([a-z-]+)", p.read_text("utf-8")) for p in PAGES))
    assert named <= targets


@pytest.mark.parametrize(("before", "block"), _JSON, ids=_name)
def test_every_json_block_is_what_it_seems_to_be(before: Block | None, block: Block) -> None:
    value = json.loads(block.text)
    if "forecasts" in value:
        ForecastAnswer.model_validate(value)
    elif "status" in value:
        assert before is not None
        with pytest.raises(ProblemError) as raised:
            read_request(before.text.encode(), max_series=10)
        assert raised.value.problem == Problem.model_validate(value)
    elif "cron" in value:
        validated(NewSchedule, value)
    elif "reason" in value:
        validated(Promotion, value)
    elif not _is_refused(block):
        read_request(block.text.encode(), max_series=10)


def _is_refused(block: Block) -> bool:
    """Whether the next block of the page shows a problem: then the test of that one covers this."""
    following = blocks(block.page)
    place = following.index(block) + 1
    return place < len(following) and '"urn:gatecast:problem' in following[place].text


def test_every_command_and_every_option_is_in_the_guides() -> None:
    group = typer.main.get_command(gatecast.app)
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        if command.hidden:  # for processes of ours
            continue
        assert f"gatecast {name}" in _DOCS, name
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--"):
                    assert re.search(rf"{option}\b(?!-)", _DOCS), f"gatecast {name} {option}"


def test_every_benchmark_is_on_its_page() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)) == set(NAMES)


def _settings_rows() -> dict[str, str]:
    """Variable to default, as the tables of the settings page have them."""
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    named = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| .+ \|$", page, flags=re.MULTILINE)
    return {name: default.strip("`") for name, default in named}


def _variables() -> dict[str, object]:
    """Variable to default, as the settings have them."""
    return {
        str(field.validation_alias or f"GATECAST_{name.upper()}"): field.get_default()
        for name, field in Settings.model_fields.items()
    }


def test_the_settings_page_has_every_setting_and_no_other() -> None:
    ours = {name for name in _settings_rows() if name.startswith("GATECAST_")}
    ours |= {"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"} & _settings_rows().keys()
    assert ours == _variables().keys()


def test_the_settings_page_has_the_defaults_that_the_settings_have() -> None:
    rows = _settings_rows()
    for name, default in _variables().items():
        if isinstance(default, (int, float)):
            assert float(rows[name]) == default, name
        elif isinstance(default, (str, Path)):
            assert rows[name] == str(default), name


def test_no_page_names_a_setting_that_does_not_exist() -> None:
    known = _variables().keys() | {"GATECAST_DATA", "GATECAST_TEST_POSTGRES"}
    known |= {variable + SUFFIX for variable in FROM_FILES.values()}
    for page in PAGES:
        named = set(re.findall(r"\bGATECAST_[A-Z_]+\b", page.read_text("utf-8")))
        assert named <= known, page


def test_mlflow_defaults_on_the_settings_page_are_those_that_training_sets() -> None:
    code = (ROOT / "training" / "registry.py").read_text("utf-8")
    set_there = dict(re.findall(r'"(MLFLOW_[A-Z_]+)": "(.+?)"', code))
    ours = {"MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"}
    rows = {name: value for name, value in _settings_rows().items() if name.startswith("MLFLOW_")}
    assert {name: value for name, value in rows.items() if name not in ours} == set_there


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target), f"{path}#{anchor}"


def test_every_decision_is_listed_once_and_numbered_in_order() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = [path for path, _ in links(folder / "README.md")]
    assert listed == sorted(file.name for file in folder.glob("0*.md"))
    for number, name in enumerate(listed, start=1):
        assert name.startswith(f"{number:04}-")
        assert (folder / name).read_text("utf-8").startswith(f"# {number}. ")


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_no_page_names_a_place_of_one_machine(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"(?<![\w.])/(work|tmp|home|root|Users)/", text)


def test_the_changelog_knows_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f"## [{project['version']}]" in changelog
    assert "## [Unreleased]" in changelog
