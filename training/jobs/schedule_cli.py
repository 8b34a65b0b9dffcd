"""`gatecast schedule set | list | show | remove | pause`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from store.settings import Settings
from training.exits import faults
from training.jobs.cli_options import (
    CellOption,
    ColumnNames,
    DataZone,
    Freq,
    Horizon,
    Json,
    NWindows,
    Query,
    Season,
    Seed,
    Step,
    Task,
    Threads,
    fit_options,
    print_json,
)

if TYPE_CHECKING:
    from store.schedules import Missed

# What is heavy is imported inside the commands: `--help` must not wait for torch.

schedule = typer.Typer(no_args_is_help=True, help="When tasks are retrained, and on what.")


class MissedChoice(StrEnum):
    """What becomes of due times that nobody was there for."""

    SKIP = "skip"
    LATEST = "latest"
    ALL = "all"


@schedule.command(
    "set",
    epilog="Example: gatecast schedule set load --cron '0 3 * * *' --timezone Europe/Berlin "
    "--source log --on-drift",
)
def set_command(
    task: Task,
    source: Annotated[
        str, typer.Option(help="CSV or Parquet file, database URL with --query, or log.")
    ],
    cron: Annotated[
        str | None, typer.Option(help="Minute, hour, day, month, weekday; without it: by hand.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Time zone of --cron.")] = "UTC",
    query: Query = None,
    missed: Annotated[
        MissedChoice, typer.Option(help="Of due times that nobody was there for, run which.")
    ] = MissedChoice.LATEST,
    on_drift: Annotated[
        bool, typer.Option("--on-drift/--no-on-drift", help="Retrain when live scores drift.")
    ] = False,
    cooldown_hours: Annotated[
        float, typer.Option(min=0, help="Hours after a run in which drift starts no other.")
    ] = 24.0,
    horizon: Horizon = None,
    season: Season = None,
    cell: CellOption = None,
    freq: Freq = None,
    data_timezone: DataZone = None,
    columns: ColumnNames = "",
    hist_exog: Annotated[str | None, typer.Option(help="Columns known up to now.")] = None,
    futr_exog: Annotated[str | None, typer.Option(help="Columns known ahead too.")] = None,
    stat_exog: Annotated[str | None, typer.Option(help="Columns constant in a series.")] = None,
    holidays: Annotated[str | None, typer.Option(help="Of a place: DE, DE-BY.")] = None,
    n_windows: NWindows = None,
    step_size: Step = None,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Retrain a task at the times of a cron expression. What is left open is as the champion is."""
    with faults():
        from store.moment import stamp  # noqa: PLC0415
        from training.jobs import commands as jobs  # noqa: PLC0415
        from training.jobs import render as jobs_render  # noqa: PLC0415

        options = fit_options(
            horizon=horizon,
            season=season,
            cell=cell,
            freq=freq,
            timezone=data_timezone,
            columns=columns,
            hist_exog=hist_exog,
            futr_exog=futr_exog,
            stat_exog=stat_exog,
            holidays=holidays,
            n_windows=n_windows,
            step_size=step_size,
            seed=seed,
            threads=threads,
        )
        policy: Missed = missed.value
        with jobs.opened(Settings()) as database:
            made = jobs.set_schedule(
                database,
                task,
                cron=cron,
                timezone=timezone,
                source=source,
                query=query,
                options=options,
                missed=policy,
                on_drift=on_drift,
                cooldown_hours=cooldown_hours,
            )
        if as_json:
            print_json(jobs_render.schedule_dict(made))
        elif made.next_due is None:
            typer.echo(f"Task {task} is retrained by hand{' and on drift' if on_drift else ''}.")
        else:
            next_due = stamp(made.next_due, timezone)
            typer.echo(f"Task {task} is retrained next at {next_due}.")


@schedule.command("list", epilog="Example: gatecast schedule list --json")
def list_command(as_json: Json = False) -> None:
    """List every schedule with its next due time."""
    with faults():
        from training.jobs import commands as jobs  # noqa: PLC0415
        from training.jobs import render as jobs_render  # noqa: PLC0415

        with jobs.opened(Settings()) as database:
            found = jobs.every_schedule(database)
        if as_json:
            print_json([jobs_render.schedule_dict(each) for each in found])
        else:
            Console().print(jobs_render.schedules_table(found))


@schedule.command("show", epilog="Example: gatecast schedule show load --json")
def show_command(task: Task, as_json: Json = False) -> None:
    """Show a task's schedule."""
    with faults():
        from training.jobs import commands as jobs  # noqa: PLC0415
        from training.jobs import render as jobs_render  # noqa: PLC0415

        with jobs.opened(Settings()) as database:
            found = jobs.one_schedule(database, task)
        if as_json:
            print_json(jobs_render.schedule_dict(found))
        else:
            Console().print(jobs_render.schedules_table([found]))
            typer.echo(f"Fits: {jobs_render.options_line(found.options)}.")


@schedule.command("remove", epilog="Example: gatecast schedule remove load")
def remove_command(task: Task) -> None:
    """Remove a task's schedule; its runs and versions stay."""
    with faults():
        from training.jobs import commands as jobs  # noqa: PLC0415

        with jobs.opened(Settings()) as database:
            jobs.drop_schedule(database, task)
        typer.echo(f"Task {task} has no schedule any more.")


@schedule.command("pause", epilog="Example: gatecast schedule pause load --resume")
def pause_command(
    task: Task,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from now.")] = False,
) -> None:
    """Let a schedule make no runs until it is resumed; what comes due meanwhile is not missed."""
    with faults():
        from training.jobs import commands as jobs  # noqa: PLC0415

        with jobs.opened(Settings()) as database:
            jobs.pause_schedule(database, task, resume=resume)
        typer.echo(f"Task {task}: {'resumed' if resume else 'paused'}.")
