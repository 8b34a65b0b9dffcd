"""What the commands of retraining do, once their text has become values."""

from __future__ import annotations

import getpass
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from store.conventions import task_name
from store.cron import check_cron, due_after
from store.database import Database
from store.leases import claim
from store.migrate import opened as open_store
from store.moment import now_of
from store.runs import NewRun, Run, ask_once, cancel_run, find_run, list_runs, run_of_schedule
from store.schedulers import alive
from store.schedules import (
    LOG,
    Missed,
    Schedule,
    find_schedule,
    list_schedules,
    put_schedule,
    remove_schedule,
)
from store.settings import Settings
from training.jobs import children
from training.jobs.options import Options
from training.jobs.scheduler import Scheduler, owner_name
from training.sources import SourceError

_POLL_SECONDS = 0.5


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The store, its schema up to date."""
    with closing(open_store(settings.store_url)) as database:
        yield database


def settled_source(source: str, query: str | None) -> str:
    """A source as it is kept: the path of a file absolute. Raises ValueError for what is none."""
    if source == LOG or "://" in source:
        if source == LOG and query is not None:
            raise ValueError("a query is for databases: postgresql://… or sqlite:///…")
        return source
    path = Path(source).expanduser().absolute()
    if not path.is_file():
        raise SourceError(f"there is no file {path}; the task's own log is --source {LOG}")
    return str(path)


def set_schedule(
    database: Database,
    task: str,
    *,
    cron: str | None,
    timezone: str,
    source: str,
    query: str | None,
    options: Options,
    missed: Missed,
    on_drift: bool,
    cooldown_hours: float,
) -> Schedule:
    """Set a task's schedule. Raises ValueError for what cannot be."""
    task_name(task)
    checked = None if cron is None else check_cron(cron, timezone)
    check_cron("0 0 * * *", timezone)
    kept = settled_source(source, query)
    with database.writing() as connection:
        now = now_of(connection)
        schedule = Schedule(
            task=task,
            cron=checked,
            timezone=timezone,
            source=kept,
            query=query,
            options=options.model_dump_json(exclude_defaults=True),
            missed=missed,
            on_drift=on_drift,
            cooldown=round(cooldown_hours * 3_600_000),
            enabled=True,
            next_due=None if checked is None else due_after(checked, timezone, now),
            changed=now,
            changed_by=getpass.getuser(),
        )
        put_schedule(connection, schedule)
    return schedule


def every_schedule(database: Database) -> list[Schedule]:
    """All schedules, by task."""
    with database.reading() as connection:
        return list_schedules(connection)


def one_schedule(database: Database, task: str) -> Schedule:
    """The schedule of a task. Raises ValueError where it has none."""
    with database.reading() as connection:
        found = find_schedule(connection, task)
    if found is None:
        raise ValueError(f"task {task!r} has no schedule: gatecast schedule set {task} --source …")
    return found


def drop_schedule(database: Database, task: str) -> None:
    """Remove a task's schedule. Raises ValueError where it has none."""
    one_schedule(database, task)
    with database.writing() as connection:
        remove_schedule(connection, task)


def pause_schedule(database: Database, task: str, *, resume: bool) -> Schedule:
    """Stop a schedule from making runs, or let it again, from its next due time on."""
    found = one_schedule(database, task)
    with database.writing() as connection:
        now = now_of(connection)
        due = None if found.cron is None else due_after(found.cron, found.timezone, now)
        changed = replace(
            found, enabled=resume, next_due=due, changed=now, changed_by=getpass.getuser()
        )
        put_schedule(connection, changed)
    return changed


def ask_now(
    database: Database, task: str, source: str | None, query: str | None, options: Options | None
) -> Run:
    """Queue a run of a task now; the one that waits already, if it is of the same.

    What is not said is as the schedule has it. Raises ValueError where neither says a source.
    """
    task_name(task)
    with database.writing() as connection:
        now, schedule = now_of(connection), find_schedule(connection, task)
        if schedule is None and source is None:
            raise ValueError(
                f"say what {task!r} is to learn from: --source with a file, a database's URL or "
                f"{LOG}, its own observations"
            )
        if schedule is not None and source is None:
            new = run_of_schedule(schedule, "manual", now, getpass.getuser())
        else:
            said = settled_source(str(source), query)
            new = NewRun(task, "manual", now, said, query, "{}", getpass.getuser())
        if options is not None:
            new = replace(new, options=options.model_dump_json(exclude_defaults=True))
        return ask_once(connection, new, now)


def follow(
    database: Database, run: Run, settings: Settings, *, work: bool, show: Callable[[Run], None]
) -> Run:
    """Show a run until it is finished; the run as it is then.

    work: do it here, in a process of its own, as soon as nobody else does and no scheduler is
    alive. KeyboardInterrupt stops that process, whose run goes back to the queue.
    """
    child: children.Child | None = None
    pause = threading.Event()
    try:
        while True:
            with database.reading() as connection:
                now, found = now_of(connection), find_run(connection, run.id)
                nobody = work and child is None and not alive(connection, now)
            if found is None:
                raise ValueError(f"run {run.id} is gone")
            show(found)
            if found.status not in ("queued", "running"):
                return found
            if nobody:
                child = _claimed(database, run, settings)
            elif child is not None and child.process.poll() is not None:
                with database.writing() as connection:
                    children.give_back(connection, child, counts=True)
                child = None
            pause.wait(_POLL_SECONDS)
    finally:
        if child is not None and child.process.poll() is None:
            children.stop(child)
            with database.writing() as connection:
                children.give_back(connection, child, counts=False)


def _claimed(database: Database, run: Run, settings: Settings) -> children.Child | None:
    with database.writing() as connection:
        mine = claim(
            connection,
            owner_name(),
            now_of(connection),
            lease=int(settings.lease_seconds * 1000),
            attempts=settings.run_attempts,
            run=run.id,
        )
    return None if mine is None else children.start(mine, settings)


def one_run(database: Database, number: int) -> Run:
    """A run by its number. Raises ValueError where there is none."""
    with database.reading() as connection:
        found = find_run(connection, number)
    if found is None:
        raise ValueError(f"there is no run {number}: gatecast runs lists them")
    return found


def some_runs(database: Database, task: str | None, limit: int) -> list[Run]:
    """The newest runs, of one task or all."""
    with database.reading() as connection:
        return list_runs(connection, task=task, limit=limit)


def cancel(database: Database, number: int) -> Run:
    """Cancel a run, or ask for it. Raises ValueError where there is none."""
    with database.writing() as connection:
        cancel_run(connection, number, now_of(connection))
    return one_run(database, number)


def schedule_forever(settings: Settings) -> None:
    """Be the scheduler until SIGTERM or SIGINT."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    with opened(settings) as database:
        scheduler = Scheduler(database, settings)
        logging.getLogger("gatecast.scheduler").info("scheduling as %s", scheduler.owner)
        scheduler.run(stop)
