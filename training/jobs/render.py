"""Schedules and runs for people and for scripts."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rich.table import Table

from store.moment import stamp
from store.runs import Run
from store.schedules import Schedule
from store.settings import masked
from training.jobs.options import Options

_HOUR_MS = 3_600_000
_TIMES = ("due", "asked", "ready", "lease_until", "heartbeat", "started", "finished")
_HIDDEN = ("fence", "owner", "lease_until", "ready")


def schedule_dict(schedule: Schedule) -> dict[str, Any]:
    """A schedule as JSON has it: times as ISO 8601, passwords masked."""
    values = asdict(schedule)
    values["source"] = masked(schedule.source)
    values["options"] = json.loads(schedule.options)
    values["cooldown_hours"] = values.pop("cooldown") / _HOUR_MS
    for name in ("next_due", "changed"):
        values[name] = stamp(values[name], schedule.timezone if name == "next_due" else "UTC")
    return values


def run_dict(run: Run) -> dict[str, Any]:
    """A run as JSON has it: times as ISO 8601, the log as lines, passwords masked."""
    values = {name: value for name, value in asdict(run).items() if name not in _HIDDEN}
    values["source"] = masked(run.source)
    values["options"] = json.loads(run.options)
    values["outcome"] = None if run.outcome is None else json.loads(run.outcome)
    values["log"] = run.log.splitlines()
    for name in _TIMES:
        if name in values:
            values[name] = stamp(values[name])
    return values


def schedules_table(schedules: list[Schedule]) -> Table:
    """A row a schedule."""
    table = Table("task", "cron", "time zone", "source", "missed", "drift")
    table.add_column("next", no_wrap=True)
    for each in schedules:
        state = (stamp(each.next_due, each.timezone) or "–")[:16].replace("T", " ")
        table.add_row(
            each.task,
            each.cron or "–",
            each.timezone,
            masked(each.source),
            each.missed,
            f"after {each.cooldown / _HOUR_MS:g} h" if each.on_drift else "–",
            state if each.enabled else "paused",
        )
    return table


def runs_table(runs: list[Run]) -> Table:
    """A row a run, newest first."""
    table = Table("run", "task", "trigger")
    table.add_column("due", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("what came of it")
    for each in runs:
        at = f" {each.progress:.0%}" if each.status == "running" else ""
        due = (stamp(each.due) or "")[:16].replace("T", " ")
        table.add_row(
            str(each.id), each.task, each.trigger, due, f"{each.status}{at}", _short(each)
        )
    return table


def _short(run: Run) -> str:
    if run.outcome is None:
        return run.error or (run.stage or "")
    outcome = json.loads(run.outcome)
    if run.status == "succeeded":
        return f"version {outcome['champion']} is champion"
    made = ", ".join(str(number) for number in outcome["versions"].values())
    return f"version {made} refused"


def verdict(run: Run) -> str:
    """What came of a run, in a line."""
    if run.error is not None:
        return run.error
    if run.outcome is None:
        return ""
    outcome = json.loads(run.outcome)
    made = ", ".join(f"{name} is version {n}" for name, n in outcome["versions"].items())
    return f"{made}: {outcome['reason']}"


def options_line(options: str) -> str:
    """Fit options that were said, in a line."""
    said = Options.model_validate_json(options).model_dump(exclude_defaults=True)
    return ", ".join(f"{name} {value}" for name, value in said.items()) or "as the champion"
