"""Imports run one way, nothing is unpickled, and every file is one idea."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("models", "store", "training", "service", "processes")
OURS = {*ROOMS, "gatecast", "tests", "benchmarks"}
MAY_IMPORT = {
    "models": set[str](),  # its own by relative imports: it is shipped under another name too
    "store": {"store"},
    "training": {"models", "store", "training"},
    "service": {"models", "store", "service"},
    "processes": {"store", "processes"},  # it knows the others as commands
}
MODELS_MAY_IMPORT = {"torch", "numpy", "pydantic", "safetensors"}
EXECUTES = {"pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"}
HEAVY = ("torch", "mlflow", "polars", "numpy", "fastapi", "sqlalchemy", "matplotlib", "pandas")


def files(room: str) -> Iterator[Path]:
    return (ROOT / room).rglob("*.py")


EVERY = [*(path for room in ROOMS for path in files(room)), ROOT / "gatecast.py"]


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Level and dotted name of everything that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from ((node.level, f"{module}.{alias.name}") for alias in node.names)


def roots(path: Path) -> set[str]:
    """The packages that a file imports from by their absolute names."""
    return {name.partition(".")[0] for level, name in imports(path) if level == 0}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_room_has_files() -> None:
    assert all(list(files(room)) for room in ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room: str) -> None:
    wrong = {name(path): roots(path) & OURS - MAY_IMPORT[room] for path in files(room)}
    assert not {path: found for path, found in wrong.items() if found}


def test_no_relative_import_leaves_its_room() -> None:
    for room in ROOMS:
        for path in files(room):
            depth = len(path.relative_to(ROOT).parts) - 1
            assert all(level <= depth for level, _ in imports(path)), name(path)


def test_forecasters_need_nothing_but_their_few_libraries() -> None:
    allowed = MODELS_MAY_IMPORT | sys.stdlib_module_names
    wrong = {name(path): roots(path) - allowed for path in files("models")}
    assert not {path: found for path, found in wrong.items() if found}


def test_only_the_command_sees_both_training_and_service() -> None:
    both = {name(path) for path in EVERY if {"training", "service"} <= roots(path)}
    assert both <= {"gatecast.py"}


@pytest.mark.parametrize("path", EVERY, ids=name)
def test_nothing_is_pickled_or_unpickled(path: Path) -> None:
    assert not roots(path) & EXECUTES
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in {("torch", "load"), ("torch", "save")}
        if isinstance(node, ast.keyword):
            assert node.arg != "allow_pickle"


@pytest.mark.parametrize("path", EVERY, ids=name)
def test_a_file_is_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300
    assert path.stem not in {"utils", "util", "helpers", "common", "misc"}


def test_importing_the_command_is_light() -> None:
    code = f"import gatecast, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
