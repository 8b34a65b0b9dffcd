"""The commands: what they do, what they say when they cannot, and how they stop."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

import gatecast as command
from tests.commands import FIT, gatecast, started, write_series
from tests.training.fits import embedded
from training.load_version import find_version, load_version
from training.registry import Registry, RegistryError
from training.versions import versions

GROUP = typer.main.get_group(command.app)
COMMANDS = {name: each for name, each in GROUP.commands.items() if not each.hidden}
WORDS = [
    (name, *rest)
    for name, each in COMMANDS.items()
    for rest in ([(sub,) for sub in each.commands] if isinstance(each, TyperGroup) else [()])
]
"""The words of every command, those of a group one by one."""


LOOK = re.compile(r"lstm \d+/\d+")
"""What is printed of a fit after each look at its validation windows."""


@dataclass(frozen=True)
class Fitted:
    """What `gatecast fit` left, and what it said."""

    var: Path
    data: Path
    done: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    var = tmp_path_factory.mktemp("var")
    embedded(var)
    data = write_series(var / "series.csv")
    return Fitted(var, data, gatecast(var, "fit", str(data), "--cell", "lstm", *FIT))


@pytest.fixture
def here(fitted: Fitted, monkeypatch: pytest.MonkeyPatch) -> Fitted:
    """The fit's environment in this process, which has imported already what is slow to import."""
    monkeypatch.setenv("GATECAST_VAR", str(fitted.var))
    monkeypatch.chdir(fitted.var)
    return fitted


def run(*words: str) -> str:
    """Standard output of a command that succeeds."""
    result = CliRunner().invoke(command.app, words)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_fit_is_registered_and_made_champion(fitted: Fitted) -> None:
    assert fitted.done.returncode == 0, fitted.done.stderr
    assert not fitted.done.stderr
    said = fitted.done.stdout
    assert "2 series, 240 values (0 missing), 0 to 119, frequency 1" in said
    assert "seasonal_naive" in said  # whole, at 80 columns too
    assert "Task steps: lstm is version 1." in said
    assert re.search(r"lstm: (best after \d+ of \d+ batches|nothing that it learnt was)", said)
    assert "Version 1 is now champion" in said
    assert not (fitted.var / "fits" / "steps").exists()
    registry = Registry.embedded(fitted.var)
    _, manifest = load_version(registry, find_version(registry, "steps", "champion"))
    assert (manifest.spec.horizon, manifest.spec.season) == (4, (4,))


def test_its_forecasts_are_printed_as_csv_and_nothing_else(fitted: Fitted) -> None:
    done = gatecast(fitted.var, "forecast", str(fitted.data), "--task", "steps", "--level", "80")
    assert (done.returncode, done.stderr) == (0, "")
    found = rows(done.stdout)
    assert [(row["unique_id"], row["ds"]) for row in found] == [
        (unique_id, str(step)) for unique_id in "ab" for step in range(120, 124)
    ]
    assert list(found[0]) == ["unique_id", "ds", "mean", "lo-80", "hi-80"]
    assert all(float(row["lo-80"]) <= float(row["mean"]) <= float(row["hi-80"]) for row in found)


def test_the_tasks_are_listed(here: Fitted) -> None:
    (task,) = json.loads(run("models", "--json"))
    assert (task["task"], task["champion"]) == ("steps", 1)
    assert "steps" in run("models")


def test_versions_are_compared(here: Fitted) -> None:
    assert json.loads(run("compare", "steps", "--format", "json"))
    assert rows(run("compare", "steps", "--versions", "1", "--format", "csv"))
    assert "lstm" in run("compare", "steps")


def test_forecasts_go_into_a_file_as_far_as_asked(here: Fitted) -> None:
    out = here.var / "ahead.csv"
    said = run(
        "forecast", str(here.data), "--task", "steps", "-h", "2", "--level", "", "-o", str(out)
    )
    assert said == ""
    found = rows(out.read_text(encoding="utf-8"))
    assert [row["ds"] for row in found] == ["120", "121"] * 2
    assert list(found[0]) == ["unique_id", "ds", "mean"]


def test_forecasts_go_further_than_the_fit_where_asked(here: Fitted) -> None:
    found = rows(run("forecast", str(here.data), "--task", "steps", "-h", "10", "--level", "80"))
    assert [row["ds"] for row in found] == [str(step) for step in range(120, 130)] * 2
    width = [float(row["hi-80"]) - float(row["lo-80"]) for row in found[:10]]
    assert all(later >= width[step % 4] for step, later in enumerate(width[4:], start=4))


def test_versions_are_backtested_beside_the_baselines(here: Fitted) -> None:
    said = run("backtest", str(here.data), "--task", "steps", "--n-windows", "2")
    assert all(word in said for word in ("version 1", "seasonal_naive", "mase", "4 windows of 2"))
    out = here.var / "scores.csv"
    run("backtest", str(here.data), "--task", "steps", "--cutoff", "99", "-o", str(out))
    assert {row["unique_id"] for row in rows(out.read_text(encoding="utf-8"))} == {"a", "b"}


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_every_command_shows_an_example(words: tuple[str, ...]) -> None:
    assert f"gatecast {' '.join(words)}" in run(*words, "--help").partition("Example:")[2]


def test_help_lists_the_commands(tmp_path: Path) -> None:
    done = gatecast(tmp_path, "--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)


def assert_told(exit_code: int, stderr: str, told: str) -> None:
    """One line that says what is wrong, and status 1."""
    assert exit_code == 1, stderr
    assert stderr.startswith("gatecast: ")
    assert told in stderr
    assert stderr.count("\n") == 1
    assert "Traceback" not in stderr


STEPS = ("--task", "steps")
WRONG: dict[str, tuple[tuple[str, ...], str]] = {
    "no task's name": (("fit", "series.csv", "--task", "Bad Name", "--horizon", "4"), "task name"),
    "season zero": (("fit", "series.csv", *STEPS, "--horizon", "4", "--season", "0"), "'0' is no"),
    "season words": (("fit", "series.csv", *STEPS, "--horizon", "4", "--season", "a"), "'a' is no"),
    "season too long": (
        ("fit", "series.csv", *STEPS, "--horizon", "4", "--season", "9000"),
        "season.0: Input should be less than or equal to 8192",
    ),
    "seasons too many": (
        ("fit", "series.csv", *STEPS, "--preset", "textbook", "--season", "2,3,4,5,6"),
        "season: Tuple should have at most 4 items",
    ),
    "too far": (("forecast", "series.csv", *STEPS, "-h", "4097"), "4096 steps are forecast at"),
    "no horizon": (("fit", "series.csv", *STEPS), "--horizon"),
    "textbook's horizon": (
        ("fit", "series.csv", *STEPS, "--preset", "textbook", "--horizon", "4"),
        "the textbook preset forecasts 10 steps",
    ),
    "too short": (("fit", "short.csv", *STEPS, "--horizon", "4"), "no series has a window"),
    "columns": (("fit", "series.csv", *STEPS, "--columns", "z=1", "--horizon", "4"), "'z'"),
    "no such column": (
        ("fit", "series.csv", *STEPS, "--horizon", "4", "--hist-exog", "wind"),
        "no column 'wind'",
    ),
    "frequency": (("fit", "series.csv", *STEPS, "--horizon", "4", "--freq", "often"), "often"),
    "damaged checkpoint": (
        ("fit", "series.csv", "--task", "broken", "--horizon", "4", "--cell", "gru", "--resume"),
        "is damaged",
    ),
    "unknown task": (("compare", "nothing"), "no task is called 'nothing'; there are: steps"),
    "unknown version": (("compare", "steps", "--versions", "9"), "no version 9; there are: 1"),
    "version to forecast": (
        ("forecast", "series.csv", *STEPS, "--version", "9"),
        "'steps' has no version or alias '9'; it has 1 (champion)",
    ),
    "version to backtest": (("backtest", "series.csv", *STEPS, "--versions", "best"), "'best'"),
    "level": (("forecast", "series.csv", *STEPS, "--level", "120"), "between 0 and 100"),
    "level words": (("forecast", "series.csv", *STEPS, "--level", "most"), "most"),
    "tail": (("forecast", "series.csv", *STEPS, "--level", "99"), "within 0.025 and 0.975"),
    "no folder": (("forecast", "series.csv", *STEPS, "-o", "none/ahead.csv"), "none"),
    "cutoff": (("backtest", "series.csv", *STEPS, "--cutoff", "soon"), "soon"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_done_is_told_in_a_line(here: Fitted, wrong: str) -> None:
    write_series(here.var / "short.csv", length=5)
    broken = here.var / "fits" / "broken"
    broken.mkdir(parents=True, exist_ok=True)
    (broken / "gru.safetensors").write_bytes(b"rubbish")
    words, told = WRONG[wrong]
    result = CliRunner().invoke(command.app, words)
    assert_told(result.exit_code, result.stderr, told)
    assert len(versions(Registry.embedded(here.var), "steps")) == 1


def test_settings_that_are_wrong_are_told_in_a_line(
    here: Fitted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATECAST_PORT", "many")
    result = CliRunner().invoke(command.app, ["models"])
    assert_told(result.exit_code, result.stderr, "port: Input should be a valid integer")


def test_a_process_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    done = gatecast(tmp_path, "fit", "nowhere.csv", *FIT)
    assert_told(done.returncode, done.stderr, "there is no file nowhere.csv")


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_fit_that_is_stopped_goes_on_with_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    registry, data = embedded(tmp_path), write_series(tmp_path / "series.csv")
    words = ("fit", str(data), "--cell", "lstm", *FIT)
    with started(tmp_path, *words) as process:
        assert process.stdout is not None
        first_look = next(look[0] for look in map(LOOK.search, process.stdout) if look)
        process.send_signal(number)
        _, stderr = process.communicate()
    assert process.returncode == 130, stderr
    assert stderr == "\nStopped. The same command with --resume goes on.\n"
    with pytest.raises(RegistryError, match="no task is called"):
        versions(registry, "steps")
    monkeypatch.setenv("GATECAST_VAR", str(tmp_path))
    said = run(*words, "--resume")
    assert LOOK.search(said)
    assert first_look not in said
    assert "Task steps: lstm is version 1." in said


def test_ctrl_c_elsewhere_promises_nothing(here: Fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.load_version.read_bundle", stopped)
    result = CliRunner().invoke(command.app, ["forecast", "series.csv", *STEPS])
    assert (result.exit_code, result.stderr) == (130, "\nStopped.\n")
