"""`gatecast schedule | retrain | runs | scheduler`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from store.settings import Settings
from training.exits import faults, terminable
from training.jobs.cli_options import (
    CellOption,
    Horizon,
    Json,
    NWindows,
    Query,
    Season,
    Task,
    Threads,
    fit_options,
    print_json,
)
from training.jobs.schedule_cli import schedule

# What is heavy is imported inside the commands: `--help` must not wait for torch.

app = typer.Typer(no_args_is_help=True)
app.add_typer(schedule, name="schedule")


@app.command(epilog="Example: gatecast retrain load --source load.csv")
def retrain(
    task: Task,
    source: Annotated[
        str | None, typer.Option(help="File, database URL or log; by default the schedule's.")
    ] = None,
    query: Query = None,
    horizon: Horizon = None,
    season: Season = None,
    cell: CellOption = None,
    n_windows: NWindows = None,
    threads: Threads = None,
    detach: Annotated[bool, typer.Option("--detach", help="Queue the run; do not wait.")] = False,
    as_json: Json = False,
) -> None:
    """Retrain a task now, as its schedule says or as is said here.

    The scheduler does it; where none is alive, this command does. Ends with 0 if a new version
    became champion or the gate kept the old one, with 1 if the run failed or was cancelled.
    """
    stopped = f"Stopped. gatecast retrain {task} goes on; gatecast runs shows how far it is."
    with faults(stopped), terminable():
        from training.jobs import commands as jobs  # noqa: PLC0415
        from training.jobs import render as jobs_render  # noqa: PLC0415
        from training.jobs.show import shown  # noqa: PLC0415

        said = any((source, horizon, season, cell, threads is not None, n_windows))
        options = fit_options(
            horizon=horizon,
            season=season,
            cell=cell,
            n_windows=n_windows,
            threads=threads,
            hist_exog=None,
            futr_exog=None,
            stat_exog=None,
            holidays=None,
        )
        settings = Settings()
        with jobs.opened(settings) as database:
            run = jobs.ask_now(database, task, source, query, options if said else None)
            if not detach:
                with shown(Console(stderr=as_json)) as show:
                    run = jobs.follow(database, run, settings, work=True, show=show)
        if as_json:
            print_json(jobs_render.run_dict(run))
        elif detach:
            typer.echo(f"Run {run.id} is queued: gatecast runs {run.id} --follow")
        else:
            typer.echo(f"Run {run.id} {run.status}. {jobs_render.verdict(run)}")
        if run.status in ("failed", "cancelled"):
            sys.exit(1)


@app.command(epilog="Example: gatecast runs 7 --follow")
def runs(
    number: Annotated[int | None, typer.Argument(metavar="[ID]", help="One run.")] = None,
    task: Annotated[str | None, typer.Option(help="Only runs of this task.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Newest runs to list.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", help="Wait until it is finished.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Stop it, for good.")] = False,
    as_json: Json = False,
) -> None:
    """List the runs of retraining, or show the log and the outcome of one."""
    with faults("Stopped watching; the run goes on."):
        from training.jobs import commands as jobs  # noqa: PLC0415
        from training.jobs import render as jobs_render  # noqa: PLC0415
        from training.jobs.show import shown  # noqa: PLC0415

        if number is None and (follow or cancel):
            raise ValueError("say which run: gatecast runs ID")
        settings = Settings()
        with jobs.opened(settings) as database:
            if number is None:
                found = jobs.some_runs(database, task, limit)
                if as_json:
                    print_json([jobs_render.run_dict(each) for each in found])
                else:
                    Console().print(jobs_render.runs_table(found))
                return
            run = jobs.cancel(database, number) if cancel else jobs.one_run(database, number)
            if not as_json or follow:
                with shown(Console(stderr=as_json)) as show:
                    show(run)
                    if follow:
                        run = jobs.follow(database, run, settings, work=False, show=show)
        if as_json:
            print_json(jobs_render.run_dict(run))
        else:
            typer.echo(f"Run {run.id} {run.status}. {jobs_render.verdict(run)}")


@app.command(epilog="Example: gatecast scheduler")
def scheduler() -> None:
    """Start the runs that schedules and drift ask for, one at a time, until it is stopped.

    Any number may run: each due time makes one run. Stopped by Ctrl-C or SIGTERM, it puts the run
    that it works on back into the queue.
    """
    with faults():
        from training.jobs import commands as jobs  # noqa: PLC0415

        jobs.schedule_forever(Settings())


@app.command("retrain-run", hidden=True)
def retrain_run(
    number: Annotated[int, typer.Argument(metavar="ID")],
    fence: Annotated[int, typer.Option(help="The token that it was claimed under.")],
) -> None:
    """Work on a run that was claimed."""
    from training.jobs.worker import work  # noqa: PLC0415

    sys.exit(work(Settings(), number, fence))
