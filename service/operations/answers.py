"""Schedules and runs as JSON has them."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from store.moment import stamp
from store.runs import Run
from store.schedules import Schedule
from store.settings import masked

_DESCRIBED = ConfigDict(use_attribute_docstrings=True)


class ScheduleAnswer(BaseModel):
    """When a task is retrained, and on what."""

    model_config = _DESCRIBED

    task: str
    cron: str | None
    timezone: str
    source: str
    """A file, a database or `log`, the task's own observations; passwords are masked."""
    missed: str
    on_drift: bool
    cooldown_hours: float
    enabled: bool
    next_due: str | None
    changed: str
    changed_by: str


class RunAnswer(BaseModel):
    """A retraining: asked for, under way or over."""

    model_config = _DESCRIBED

    id: int
    task: str
    trigger: str
    """schedule, manual or drift."""
    due: str
    status: str
    """queued, running, succeeded (a version of it is the champion), refused (by the gate), failed
    or cancelled."""
    attempt: int
    stage: str | None
    progress: float
    """From 0 to 1."""
    source: str
    asked: str
    asked_by: str
    started: str | None
    finished: str | None
    error: str | None
    outcome: dict[str, Any] | None
    """What came of it: versions by cell, scores on the same windows, the verdict."""
    log: list[str] | None
    """Its newest lines; only for one run."""


class Runs(BaseModel):
    """Runs, newest first."""

    runs: list[RunAnswer]


def schedule_answer(schedule: Schedule) -> ScheduleAnswer:
    """A schedule for people."""
    return ScheduleAnswer(
        task=schedule.task,
        cron=schedule.cron,
        timezone=schedule.timezone,
        source=masked(schedule.source),
        missed=schedule.missed,
        on_drift=schedule.on_drift,
        cooldown_hours=schedule.cooldown / 3_600_000,
        enabled=schedule.enabled,
        next_due=stamp(schedule.next_due, schedule.timezone),
        changed=str(stamp(schedule.changed)),
        changed_by=schedule.changed_by,
    )


def run_answer(run: Run, *, whole: bool) -> RunAnswer:
    """A run for people. whole: with its log."""
    return RunAnswer(
        id=run.id,
        task=run.task,
        trigger=run.trigger,
        due=str(stamp(run.due)),
        status=run.status,
        attempt=run.attempt,
        stage=run.stage,
        progress=run.progress,
        source=masked(run.source),
        asked=str(stamp(run.asked)),
        asked_by=run.asked_by,
        started=stamp(run.started),
        finished=stamp(run.finished),
        error=run.error,
        outcome=None if run.outcome is None else json.loads(run.outcome),
        log=run.log.splitlines() if whole else None,
    )
