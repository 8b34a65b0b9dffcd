"""The one process that runs for ever: due times to runs, and runs to processes, one at a time."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from uuid import uuid4

from sqlalchemy import Connection

from store.database import Database
from store.drift import raised_since, scored_version
from store.errors import StoreDownError
from store.leases import claim, claimable
from store.moment import now_of
from store.runs import Run
from store.schedulers import ALIVE_MS, beat, leave
from store.schedules import due_schedules
from store.settings import Settings
from training.jobs import children
from training.jobs.children import Child
from training.jobs.due import DriftSince, ask_drifted, ask_due, drifted

TICK_SECONDS = 1.0
_LONGEST_WAIT = 30.0

log = logging.getLogger("gatecast.scheduler")


def live_drift(connection: Connection, task: str) -> int | None:
    """When the live scores of the version that serves were last found to drift."""
    version = scored_version(connection, task)
    found = None if version is None else raised_since(connection, task, 0, version=version)
    return None if found is None else found.raised_at


def owner_name() -> str:
    """A name for this process that no other has."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"


@dataclass(slots=True)
class Scheduler:
    """A scheduler's own state; what matters is in the database, and outlives it.

    drift_since: when drift of a task was raised, as `training.jobs.due` asks for it.
    """

    database: Database
    settings: Settings
    drift_since: DriftSince = live_drift
    owner: str = field(default_factory=owner_name)
    child: Child | None = None
    beaten: float = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Tick until `stop` is set; then stop the child, whose run goes back to the queue.

        A database that is away is asked again, ever more rarely, up to twice a minute; a child
        works on meanwhile.
        """
        wait = TICK_SECONDS
        while not stop.is_set():
            try:
                self.tick()
                wait = TICK_SECONDS
            except StoreDownError as error:
                wait = min(2 * wait, _LONGEST_WAIT)
                log.warning("the store cannot be had (%s): again in %.0f s", error.reason, wait)
            stop.wait(wait)
        self.close()

    def tick(self) -> None:
        """One look: a heartbeat, runs for what has come due, and a process for the next of them.

        Raises StoreDownError.
        """
        self._reap()
        self._beat()
        if self._idle():
            return
        with self.database.writing() as connection:
            now = now_of(connection)
            made = ask_due(connection, now) + ask_drifted(connection, now, self.drift_since)
        for run in made:
            log.info("run %d of task %s is queued: %s", run.id, run.task, run.trigger)
        if self.child is None:
            run_ = self._claim()
            if run_ is not None:
                self.child = children.start(run_, self.settings)
                log.info("run %d of task %s: attempt %d", run_.id, run_.task, run_.attempt)

    def close(self) -> None:
        """Stop the child, give its run back and take leave."""
        child, self.child = self.child, None
        if child is not None:
            log.info("run %d is told to stop; it goes on later", child.run.id)
            children.stop(child)
        try:
            with self.database.writing() as connection:
                if child is not None:
                    children.give_back(connection, child, counts=False)
                leave(connection, self.owner)
        except StoreDownError as error:  # the lease ends, and the heartbeat grows old
            log.warning("the store cannot be had (%s): leaving without a word", error.reason)

    def _idle(self) -> bool:
        """Whether there is nothing to write: reading is cheap, and disturbs nobody."""
        with self.database.reading() as connection:
            now = now_of(connection)
            if due_schedules(connection, now) or drifted(connection, now, self.drift_since):
                return False
            return self.child is not None or not claimable(connection, now)

    def _claim(self) -> Run | None:
        with self.database.writing() as connection:
            return claim(
                connection,
                self.owner,
                now_of(connection),
                lease=int(self.settings.lease_seconds * 1000),
                attempts=self.settings.run_attempts,
            )

    def _beat(self) -> None:
        if time.monotonic() - self.beaten < ALIVE_MS / 3000:
            return
        with self.database.writing() as connection:
            beat(connection, self.owner, now_of(connection))
        self.beaten = time.monotonic()

    def _reap(self) -> None:
        """Let go of a child that has ended; a run that it left behind is free again at once."""
        if self.child is None or self.child.process.poll() is None:
            return
        with self.database.writing() as connection:
            children.give_back(connection, self.child, counts=True)
        log.info("run %d: ended with %d", self.child.run.id, self.child.process.returncode)
        self.child = None
