"""The loop from the first fit to the score that recovers, against processes that run already.

Two of its steps are commands, as a person would type them; all others speak HTTP. Nothing here
retrains, promotes or swaps: it only feeds, waits and watches.
"""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from processes.loop.client import Ahead, LoopError, Scores, Service, until
from processes.loop.regimes import Sales, sales

TASK = "sales"
_WINDOW = 7
_LOOK_DAYS = 7
_MOST_DAYS = 420
"""Days of the new habits within which drift must be raised."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a loop is.

    history: days that the first fit learns from; steady: days streamed before the change; after:
    days streamed to the new version. threads: of each fit.
    """

    shops: int = 4
    history: int = 240
    steady: int = 42 * 21
    after: int = 6 * 21
    horizon: int = 7
    windows: int = 8
    threads: int = 0

    def data(self) -> Sales:
        """All the days that may be needed."""
        before = self.history + self.steady
        return sales(shops=self.shops, before=before, after=_MOST_DAYS + self.after)


@dataclass(slots=True)
class Told:
    """What has happened so far.

    days: counted from the first that was streamed, of the change, of drift and of the swap. error:
    mean over the shops by day of |y - median of the day before| over the mean day-to-day difference
    of the week before. seconds: by step. old, new: live scaled errors after the change by lead, of
    the version before and of the one after. calm: of the version before, before the change.
    """

    change: int
    error: list[float] = field(default_factory=list)
    drift: int | None = None
    swap: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    raised: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    calm: dict[int, float] = field(default_factory=dict)
    old: dict[int, float] = field(default_factory=dict)
    new: dict[int, float] = field(default_factory=dict)
    versions: tuple[str, str] = ("", "")


Tell = Callable[[str, float | None], None]
"""Called with what is being done, and how much of it (0 to 1) where that is known."""


class Story:
    """One run of the loop. environment: of the two commands; folder: where the data file goes."""

    def __init__(
        self, plan: Plan, folder: Path, environment: Mapping[str, str], tell: Tell
    ) -> None:
        self.plan = plan
        self.told = Told(plan.steady)
        self._folder = folder
        self._environment = environment
        self._tell = tell
        self._data = plan.data()
        self._day = plan.history
        self._ahead: dict[str, Ahead] = {}

    def fit(self) -> None:
        """Fit the first champion, as `gatecast fit` does. Raises LoopError."""
        file = self._folder / "sales.csv"
        with file.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow(("unique_id", "ds", "y"))
            writer.writerows(self._data.rows(0, self.plan.history))
        plan = self.plan
        with self._timed("fit"):
            self._tell("fitting the first champion", None)
            self._gatecast(
                *("fit", str(file), "--task", TASK, "--freq", "D", "--horizon", str(plan.horizon)),
                *("--season", "7", "--cell", "gru", "--n-windows", str(plan.windows)),
                *("--threads", str(plan.threads)),
            )

    def watch(self, http: httpx.Client) -> None:
        """All that follows the first fit, against a service and a scheduler. Raises LoopError."""
        plan, told = self.plan, self.told
        service = Service(http, TASK)
        with self._timed("serve"):
            self._tell("waiting for the champion to be served", None)
            until(lambda: _serves(http), "the service is not ready", 180)
        self._gatecast(
            *("schedule", "set", TASK, "--source", "log", "--on-drift", "--cell", "gru"),
            *("--n-windows", str(plan.windows), "--threads", str(plan.threads)),
        )
        first = until(service.version, "no version serves", 60)
        with self._timed("steady"):
            for day in range(plan.steady):
                self._tell("streaming days of the old habits", day / plan.steady)
                self._feed(service)
        calm = service.scores()
        if service.drift() is not None:
            raise LoopError("drift was raised before anything changed")
        with self._timed("drift"):
            told.raised = self._drift(service)
        with self._timed("retrain"):
            told.run = self._retrained(service)
        with self._timed("swap"):
            self._tell("waiting for the service to follow the alias", None)
            until(lambda: service.version() != first, "the new champion is not served", 120, 0.1)
        late = service.scores()
        told.swap = self._day - plan.history
        second = str(service.version())
        told.versions = first, second
        with self._timed("recovery"):
            for day in range(plan.after):
                self._tell("streaming on, to the new champion", day / plan.after)
                self._feed(service)
        now = service.scores()
        told.calm = _errors(calm, None, first)
        told.old = _errors(late, calm, first)
        told.new = _errors(now, None, second)

    def _drift(self, service: Service) -> dict[str, Any]:
        """Stream days of the new habits until drift is raised; the test that raised it."""
        for day in range(_MOST_DAYS):
            self._tell("streaming days of the new habits, until drift is raised", None)
            self._feed(service)
            if day % _LOOK_DAYS == 0 and (found := service.drift()):
                self.told.drift = self._day - self.plan.history
                return found
        service.scores()
        if found := service.drift():
            self.told.drift = self._day - self.plan.history
            return found
        raise LoopError(f"no drift was raised within {_MOST_DAYS} days")

    def _retrained(self, service: Service) -> dict[str, Any]:
        """Wait for the run that drift started; what it was in the end."""

        def over() -> dict[str, Any] | None:
            run = service.run()
            if run is None:
                self._tell("waiting for the scheduler", None)
                return None
            self._tell(f"retraining: {run['stage'] or run['status']}", run["progress"])
            return run if run["status"] not in ("queued", "running") else None

        run: dict[str, Any] = until(over, "the retraining is not over", 900)
        if (run["trigger"], run["status"]) != ("drift", "succeeded"):
            why = run["error"] or (run["outcome"] or {}).get("reason", "")
            raise LoopError(f"run {run['id']} ({run['trigger']}) was {run['status']}: {why}")
        return run

    def _feed(self, service: Service) -> None:
        """Send one day of every shop, and hold yesterday's forecasts against it."""
        y = self._data.y
        rows = list(self._data.rows(self._day, self._day + 1))
        if self._ahead:
            week = y[self._day - 1 - _WINDOW : self._day]
            scale = np.abs(np.diff(week, axis=0)).mean(0)
            made = np.array([self._ahead[shop].median for shop in self._data.shops])
            self.told.error.append(float((np.abs(y[self._day] - made) / scale).mean()))
        else:
            self.told.error.append(float("nan"))
        self._ahead = service.observe(rows)
        if len(self._ahead) < len(rows):
            self._ahead = {}
        self._day += 1

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.told.seconds[step] = time.monotonic() - began

    def _gatecast(self, *words: str) -> None:
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "gatecast", *words],
            env=dict(self._environment),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise LoopError(f"gatecast {words[0]} failed: {' '.join(said[-3:])}")


def _serves(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _errors(now: Scores, before: Scores | None, version: str) -> dict[int, float]:
    """Mean scaled errors of a version by lead, of what was scored between two looks."""
    return {
        lead: live.since(None if before is None else before.get((each, lead)))
        for (each, lead), live in sorted(now.items())
        if each == version
    }


def ratios(told: Told) -> Sequence[tuple[int, float]]:
    """By lead, the new version's error over the old one's, both after the change."""
    return [(lead, told.new[lead] / told.old[lead]) for lead in sorted(told.new)]
