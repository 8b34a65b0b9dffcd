"""What the process of one run does: hold the lease, retrain, and end as it should."""

from __future__ import annotations

import os
import signal
import sys

from models.bundle import BundleError
from store.database import Database, open_database
from store.errors import StoreError
from store.runs import Run, find_run
from store.settings import Settings
from training.checkpoint import CheckpointError
from training.exits import terminable
from training.jobs.lease import Lease, LeaseLostError, RunCancelledError
from training.jobs.retrain import retrain
from training.loop import FitError
from training.registry import RegistryError, quiet_mlflow

DONE, FAILED, STOPPED, LOST = 0, 1, 130, 3
"""Exit statuses. LOST: the run is another's, and nothing more was written about it."""

_WAIT_SECONDS = 60.0
"""After an outage a run is tried again so much later, times its attempts."""


def work(settings: Settings, number: int, fence: int) -> int:
    """Do run `number`, claimed under the token `fence`; the exit status."""
    database = open_database(settings.store_url)
    try:
        with database.reading() as connection:
            run = find_run(connection, number)
        if run is None or run.status != "running" or run.fence != fence:
            return LOST
        return _attempt(run, database, settings)
    finally:
        database.close()


def _attempt(run: Run, database: Database, settings: Settings) -> int:
    quiet_mlflow()
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - it takes a second

    lease = Lease(database, run, settings.lease_seconds)

    def changed() -> None:
        if lease.lost.is_set():
            os._exit(LOST)  # at once: whoever has the run now must not find us in the way
        os.kill(os.getpid(), signal.SIGTERM)

    try:
        with lease.kept(changed), terminable():
            try:
                with terminable(lease.leaving):  # the outer one is for what follows, below
                    retrain(run, lease, database, settings)
            except (KeyboardInterrupt, RunCancelledError):
                _stopped(lease)
                return STOPPED
            except (OSError, MlflowException, RegistryError, StoreError) as error:
                # Perhaps an outage: whoever claims the run next decides whether it has had enough.
                told = _in_a_line(error)
                lease.tell(f"put off: {told}")
                lease.release(wait=_WAIT_SECONDS * run.attempt, error=told)
                return FAILED
            except (ValueError, FitError, CheckpointError, BundleError) as error:
                _failed(lease, _in_a_line(error))
                return FAILED
            except Exception as error:
                _failed(lease, f"{type(error).__name__}: {_in_a_line(error)}")
                raise
    except LeaseLostError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the run's own log file
        return LOST
    return DONE


def _stopped(lease: Lease) -> None:
    if lease.cancelled.is_set():
        lease.tell("cancelled")
        lease.finish("cancelled", None, None)
    else:
        lease.tell("stopped; it goes on where it was")
        lease.release(counts=False)


def _failed(lease: Lease, reason: str) -> None:
    lease.tell(f"failed: {reason}")
    lease.finish("failed", None, reason)


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())[:2000] or type(error).__name__
