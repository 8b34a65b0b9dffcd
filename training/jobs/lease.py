"""A process's hold on the run that it works on: heartbeats, progress, log, and the fence."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from store import leases
from store.database import Database
from store.errors import StoreDownError
from store.leases import Token
from store.moment import now_of
from store.runs import Run, Status

_LINES = 200
_CHARACTERS = 16_000
"""The log that the store keeps of a run: its newest lines."""
_BEAT_SECONDS = 5.0
"""Between two heartbeats: who watches a run, or cancels it, waits no longer."""
_BEATS = 6
"""Heartbeats in the time of a short lease: five in a row may fail."""
_FIRST_WAIT = 0.2
_LONGEST_WAIT = 5.0


class LeaseLostError(Exception):
    """The run is somebody else's by now, or nobody's: nothing may be written about it."""


class RunCancelledError(Exception):
    """Somebody wants the run stopped."""


@dataclass(slots=True)
class _Told:
    """What the next heartbeat says."""

    stage: str | None
    progress: float
    log: list[str]


class Lease:
    """One attempt at a run. Its methods may be called from any thread.

    lost: set when the lease is known to be lost; cancelled: when somebody wants the run stopped;
    leaving: to be set when this process is told to end.
    """

    def __init__(self, database: Database, run: Run, seconds: float) -> None:
        self.token = Token(run.id, run.fence)
        self.lost = threading.Event()
        self.cancelled = threading.Event()
        self.leaving = threading.Event()
        self._database = database
        self._lease = int(seconds * 1000)
        self._told = _Told(run.stage, run.progress, run.log.splitlines())
        self._lock = threading.Lock()
        self._stopping = False

    def tell(
        self, line: str | None = None, *, stage: str | None = None, progress: float | None = None
    ) -> None:
        """Note a line for the log, and how far the work is; the next heartbeat says it."""
        with self._lock:
            if line is not None:
                stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
                self._told.log = [*self._told.log, f"{stamp} {line}"][-_LINES:]
            self._told.stage = self._told.stage if stage is None else stage
            self._told.progress = self._told.progress if progress is None else progress

    def beat(self) -> None:
        """Lengthen the lease. Raises LeaseLostError where it is lost, StoreDownError."""
        with self._lock:
            stage, progress = self._told.stage, self._told.progress
            log = "\n".join(self._told.log)[-_CHARACTERS:]
        with self._database.writing() as connection:
            kept = leases.heartbeat(
                connection,
                self.token,
                now_of(connection),
                lease=self._lease,
                stage=stage,
                progress=progress,
                log=log,
            )
        if kept is None:
            self.lost.set()
            raise LeaseLostError(f"run {self.token.run} is not this process's any more")
        if kept.cancel:
            self.cancelled.set()

    def mark(self) -> None:
        """A heartbeat now, unless the database is away.

        To be called where the work may stop. Raises LeaseLostError, RunCancelledError where the run
        is cancelled and nobody was told so yet, and what `go_on` raises.
        """
        self.go_on()
        with suppress(StoreDownError):
            self.beat()
        if self._stops_now():
            raise RunCancelledError(f"run {self.token.run} is cancelled")

    def go_on(self) -> None:
        """Raise KeyboardInterrupt where this process was told to end and is still at work.

        What a signal's handler raises may be lost on its way (a library that tries an import, and
        goes on without, catches what becomes of it), and the work would go on to its end.
        """
        if self.leaving.is_set():
            raise KeyboardInterrupt

    def fence(self) -> None:
        """Return only if the lease is held now. To be called right before what must not be late.

        A database that is away is asked until it answers. Raises LeaseLostError.
        """

        def held() -> bool:
            with self._database.reading() as connection:
                return leases.holds(connection, self.token, now_of(connection))

        self._write(held)

    def finish(self, status: Status, outcome: str | None, error: str | None) -> None:
        """Write the end of the run. Raises LeaseLostError where the lease is lost."""

        def write() -> bool:
            with self._database.writing() as connection:
                now = now_of(connection)
                return leases.finish(
                    connection, self.token, now, status, outcome=outcome, error=error
                )

        self._say_all()
        self._write(write)

    def release(self, *, wait: float = 0.0, error: str | None = None, counts: bool = True) -> None:
        """Put the run back into the queue. Raises LeaseLostError where the lease is lost."""

        def write() -> bool:
            with self._database.writing() as connection:
                return leases.release(
                    connection,
                    self.token,
                    now_of(connection),
                    wait=int(wait * 1000),
                    error=error,
                    counts=counts,
                )

        self._say_all()
        self._write(write)

    @contextmanager
    def kept(self, on_change: Callable[[], None]) -> Iterator[None]:
        """Send heartbeats while the block runs.

        on_change: called in their thread, once each, when the lease is lost and when the run is
        cancelled, unless `mark` has told of that.
        """
        stop = threading.Event()
        thread = threading.Thread(
            target=self._keep, args=(stop, on_change), name="heartbeat", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _keep(self, stop: threading.Event, on_change: Callable[[], None]) -> None:
        while not stop.wait(min(_BEAT_SECONDS, self._lease / 1000 / _BEATS)):
            try:
                self.beat()
            except LeaseLostError:
                on_change()
                return
            except StoreDownError:  # it may be back before the lease ends
                continue
            if self._stops_now():
                on_change()

    def _stops_now(self) -> bool:
        """Whether the run is cancelled; true once, so that it is stopped once."""
        with self._lock:
            first = self.cancelled.is_set() and not self._stopping
            self._stopping = self._stopping or first
        return first

    def _say_all(self) -> None:
        """One last heartbeat, so that the newest lines are kept."""
        with suppress(LeaseLostError, StoreDownError):
            self.beat()

    def _write(self, attempt: Callable[[], bool]) -> None:
        """Do what is written under the token, whenever the database is there."""
        wait = _FIRST_WAIT
        while True:
            try:
                held = attempt()
            except StoreDownError:
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
                continue
            if not held:
                self.lost.set()
                raise LeaseLostError(f"run {self.token.run} is not this process's any more")
            return
