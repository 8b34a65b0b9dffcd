"""How a command ends when it cannot go on: one clear message and an exit status, never a trace."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from pydantic import ValidationError

from store.errors import StoreError

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@contextmanager
def faults(stopped: str = "Stopped.") -> Iterator[None]:
    """Faults that people make and meet end the process with status 1, Ctrl-C with 130.

    stopped: what to say after Ctrl-C.
    """
    from models.bundle import BundleError  # noqa: PLC0415 - heavy: `--help` must not wait
    from training.checkpoint import CheckpointError  # noqa: PLC0415
    from training.loop import FitError  # noqa: PLC0415
    from training.registry import RegistryError, quiet_mlflow  # noqa: PLC0415

    quiet_mlflow()
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"\n{stopped}", err=True)
        sys.exit(_INTERRUPTED)
    except ValidationError as error:
        _fail(_in_a_line(error))
    except (
        ValueError,
        OSError,
        RegistryError,
        FitError,
        CheckpointError,
        BundleError,
    ) as error:
        _fail(str(error))
    except StoreError as error:
        _fail(f"the store: {error.reason}")
    except MlflowException as error:
        _fail(f"the registry did not answer as it should: {error}")


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _fail(reason: str) -> NoReturn:
    typer.echo(f"gatecast: {reason}", err=True)
    sys.exit(1)


def _in_a_line(error: ValidationError) -> str:
    """What pydantic says over several lines, without its links."""
    told = []
    for each in error.errors(include_url=False, include_input=False):
        place = ".".join(map(str, each["loc"]))
        reason = each["msg"].removeprefix("Value error, ")
        told.append(f"{place}: {reason}" if place else reason)
    return "; ".join(told)
