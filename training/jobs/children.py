"""Processes of runs: started, watched and stopped by whoever claimed the run."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Connection

from store import leases
from store.leases import Token
from store.moment import now_of
from store.runs import Run
from store.settings import Settings

STOP_SECONDS = 30.0
"""How long a process that was told to stop may take: a batch, and a checkpoint."""
_NICENESS = 10
"""Forecasts on the same machine come first."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process that works on a run."""

    run: Run
    process: subprocess.Popen[bytes]

    @property
    def token(self) -> Token:
        """What the run was claimed under."""
        return Token(self.run.id, self.run.fence)


def start(run: Run, settings: Settings) -> Child:
    """Start the process of a run that was claimed. What it prints goes to `var/runs/{id}.log`."""
    folder = settings.var / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    words = [
        sys.executable,
        "-m",
        "gatecast",
        "retrain-run",
        str(run.id),
        "--fence",
        str(run.fence),
    ]
    with (folder / f"{run.id}.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own command
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us, and we tell the child
            env=settings.environment(),
        )
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
    return Child(run, process)


def stop(child: Child) -> None:
    """Tell a process to stop, and end it if it does not."""
    child.process.terminate()
    try:
        child.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.process.kill()
        child.process.wait()


def give_back(connection: Connection, child: Child, *, counts: bool) -> None:
    """Put the run of a process that is gone back into the queue, if it left it behind.

    counts: whether it was the run's own fault. Needs a writing transaction.
    """
    status = child.process.returncode
    told = f"its process was ended by signal {-status}" if status < 0 else None
    if told is None and status:
        told = f"its process ended with status {status}"
    leases.release(connection, child.token, now_of(connection), error=told, counts=counts)
