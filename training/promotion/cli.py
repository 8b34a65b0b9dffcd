"""`gatecast promote | rollback`: who serves, as people and the service decide it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import closing
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from store.conventions import task_name
from store.settings import Settings
from training.exits import faults

if TYPE_CHECKING:
    from store.database import Database
    from training.promotion.aliases import Promotion
    from training.registry import Registry

# What is heavy is imported inside the commands: `--help` must not wait for torch.

app = typer.Typer()

Task = Annotated[str, typer.Argument(metavar="TASK", help="Task whose champion is changed.")]
By = Annotated[str, typer.Option(help="Who does it, for the record; by default this user.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, whatever comes of it.")]


class Status(IntEnum):
    """How the two commands end; 2 is a command line that cannot be read."""

    DONE = 0
    FAULT = 1
    """Registry or store could not be had, or gave what it should not."""
    REFUSED = 3
    """The gate did not let the version pass; the reasons say why."""
    NOT_THERE = 4
    """No such task or version, or no previous version to return to."""
    BUSY = 5
    """Somebody else is changing the task: try again."""


@app.command(epilog="Example: gatecast promote load --version 3")
def promote(
    task: Task,
    *,
    version: Annotated[int, typer.Option(min=1, help="Version to make champion.")],
    force: Annotated[
        bool, typer.Option("--force", help="Pass over the gate; --reason must say why.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Make a version champion if it passes the gate; the old champion becomes previous.

    Ends with 0 if it is champion, 3 if the gate refused it, 4 if it is not there, 5 if somebody
    else is changing the task, 1 if registry or store failed.
    """

    def work(registry: Registry, store: Database, settings: Settings, who: str) -> Promotion:
        from training.promotion import aliases as promotion  # noqa: PLC0415

        return promotion.promote(
            registry,
            task,
            version,
            store=store,
            by=who,
            reason=reason,
            force=force,
            thresholds=promotion.thresholds_of(settings),
        )

    if force and not reason.strip():
        raise typer.BadParameter("to pass over the gate, say why with --reason")
    _run(task, work, by, as_json=as_json)


@app.command(epilog="Example: gatecast rollback load --reason 'forecasts run high since noon'")
def rollback(
    task: Task,
    *,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Make the previous champion champion again, at once and without the gate.

    Ends with 0 if it is champion, 4 if there is no previous version, 5 if somebody else is changing
    the task, 1 if registry or store failed.
    """

    def work(registry: Registry, store: Database, _: Settings, who: str) -> Promotion:
        from training.promotion import aliases as promotion  # noqa: PLC0415

        return promotion.rollback(registry, task, store=store, by=who, reason=reason)

    _run(task, work, by, as_json=as_json)


def _run(
    task: str,
    work: Callable[[Registry, Database, Settings, str], Promotion],
    by: str,
    *,
    as_json: bool,
) -> None:
    """Do it, print what came of it, and end the process with its status."""
    with faults():
        from store.errors import StoreError  # noqa: PLC0415
        from store.locks import LockBusyError  # noqa: PLC0415
        from store.migrate import opened  # noqa: PLC0415
        from training.promotion.record import person  # noqa: PLC0415
        from training.registry import (  # noqa: PLC0415
            NotThereError,
            Registry,
            RegistryError,
            quiet_mlflow,
        )

        settings = Settings()
        failed: tuple[Status, str]
        try:
            task_name(task)
            with closing(opened(settings.store_url)) as store:
                done = work(Registry.of(settings), store, settings, by or person())
            _told(task, done, as_json=as_json)
            return
        except LockBusyError as error:
            failed = Status.BUSY, error.reason
        except NotThereError as error:
            failed = Status.NOT_THERE, error.reason
        except (RegistryError, StoreError) as error:
            failed = Status.FAULT, error.reason
        except ValueError as error:
            failed = Status.NOT_THERE, str(error)
        except quiet_mlflow().exceptions.MlflowException as error:
            failed = Status.FAULT, f"the registry did not answer as it should: {error}"
        except OSError as error:
            failed = Status.FAULT, str(error)
        status, why = failed
        typer.echo(f"gatecast: {why}", err=True)
        if as_json:
            typer.echo(json.dumps(_answer(task, status, why)))
        sys.exit(status)


def _told(task: str, done: Promotion, *, as_json: bool) -> None:
    from training.promotion.record import told  # noqa: PLC0415

    refused = not done.promoted and any(not each.passed for each in done.verdicts)
    status = Status.REFUSED if refused else Status.DONE
    reasons = [each for verdict in done.verdicts for each in told(verdict)["reasons"]]
    if as_json:
        facts = {"promoted": done.promoted, "champion": done.champion, "previous": done.previous}
        typer.echo(json.dumps(_answer(task, status, done.reason) | facts | {"reasons": reasons}))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for each in reasons:
            mark = {True: "passed ", False: "REFUSED", None: "not asked"}[each["passed"]]
            console.print(f"{mark:<9} {each['rule']}: {each['said']}", markup=False)
        head = "Done" if done.promoted else "Refused" if refused else "Nothing changed"
        console.print(f"{head}: {done.reason}.", markup=False)
        champion = f"version {done.champion}" if done.champion else "none"
        previous = f"version {done.previous}" if done.previous else "none"
        console.print(f"Task {task}: champion {champion}, previous {previous}.", markup=False)
    sys.exit(status)


def _answer(task: str, status: Status, reason: str) -> dict[str, Any]:
    """The same keys whatever happened; champion and previous are null where they are not known."""
    return {
        "task": task,
        "status": status.name.lower(),
        "promoted": False,
        "champion": None,
        "previous": None,
        "reason": reason,
        "reasons": [],
    }
