"""How a command ends when it cannot go on: one clear message and an exit status, never a trace."""

from __future__ import annotations

import signal
import sys
import threading
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
def terminable(told: threading.Event | None = None) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the block with KeyboardInterrupt.

    So does what a library makes of that: an import of native code that is interrupted fails with
    ImportError. A Ctrl-C that is ignored, as in a shell's background, stays so. told: set when
    either comes.
    """
    came = told or threading.Event()

    def interrupt(*_: object) -> NoReturn:
        came.set()
        raise KeyboardInterrupt

    heard = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        heard.append(signal.SIGINT)
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    except Exception as error:
        if came.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
