"""Whether a command line is one: `gatecast …` and `mlflow …`, without running it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import typer

import gatecast


def check(words: Sequence[str]) -> None:
    """Raises what is wrong with a command line."""
    group: Any = mlflow_cli() if words[0] == "mlflow" else typer.main.get_command(gatecast.app)
    name, *rest = words[1:]
    command = group.get_command(None, name)
    assert command is not None, f"{words[0]} has no command {name}"
    command.make_context(name, rest).close()


def mlflow_cli() -> Any:
    """MLflow's own, whose import warns of what MLflow does with SQLAlchemy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow.cli import cli  # noqa: PLC0415 - slow

    return cli


def mlflow_variables() -> set[str]:
    """Everything that MLflow reads from its environment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import environment_variables  # noqa: PLC0415 - slow

    return {each for each in vars(environment_variables) if each.startswith("MLFLOW_")}
