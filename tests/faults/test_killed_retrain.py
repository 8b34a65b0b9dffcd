"""A run of retraining is killed or paused anywhere: the champion loads, and nothing runs twice."""

from __future__ import annotations

import os
import random
import signal
import time
from functools import partial
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import psutil
import pytest

from store.conventions import CHAMPION
from store.database import Database
from store.leases import Token, holds
from store.moment import now_of
from store.runs import Run
from tests.training.panels import panel_of, seasonal
from tests.training.pipelines import TASK
from tests.training.retrains import (
    asked,
    attempt,
    claimed,
    found,
    home,
    left,
    sound,
    write_panel,
)
from training.jobs.worker import DONE, LOST
from training.registry import Registry, open_client

pytestmark = pytest.mark.slow

_WISHED = int(os.environ.get("GATECAST_TEST_KILLS", "0"))
KILLS = max(2, _WISHED // 4)
"""Runs that are killed at random moments; 50 in `make faults`."""
_BOUNDARIES = (
    "snapshot",
    "snapshot taken",
    "fit gru",
    "look gru",
    "backtest gru",
    "register gru",
    "promote",
    "promoted",
    "recorded",
)
BOUNDARIES = _BOUNDARIES if _WISHED else ("register gru", "promoted")
PAUSES = [(False, True)]
"""Whether the paused process sends heartbeats, and whether its run was taken up meanwhile."""
if _WISHED:
    PAUSES += [(True, False), (True, True), (False, False)]
SECONDS = 120.0


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes of their own that need not import everything again."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.warm"])
    return context


def at(boundary: str | None, number: int, stage: str) -> None:
    """End or stop this process where a stage begins."""
    if stage == boundary:
        os.kill(os.getpid(), number)


def begun(
    processes: ForkServerContext,
    var: Path,
    run: Run | None,
    boundary: str | None = None,
    number: int = signal.SIGKILL,
    *,
    beats: bool = True,
) -> ForkServerProcess:
    assert run is not None
    told = partial(at, boundary, number)
    process = processes.Process(target=attempt, args=(str(var), run.id, run.fence, told, beats))
    process.start()
    return process


def ended(process: ForkServerProcess) -> int | None:
    process.join(SECONDS)
    assert not process.is_alive()
    return process.exitcode


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_run_that_is_killed_where_a_stage_begins_goes_on(
    tmp_path: Path, processes: ForkServerContext, boundary: str
) -> None:
    with home(tmp_path) as database:
        run = asked(database, str(tmp_path / "series.csv"))
        assert ended(begun(processes, tmp_path, claimed(database), boundary)) == -signal.SIGKILL
        sound(tmp_path)
        if boundary == "recorded":
            assert found(database, run).status == "succeeded"
            return
        assert found(database, run).status == "running"
        assert claimed(database) is None  # its lease has not ended
        left(database)
        assert ended(begun(processes, tmp_path, claimed(database))) == DONE
        done = found(database, run)
        assert (done.status, done.attempt) == ("succeeded", 2)
        assert sound(tmp_path) == 1  # no second version was made of the same fit
        assert not (tmp_path / "retrain" / str(run.id)).exists()


@pytest.mark.long
def test_runs_that_are_killed_at_random_moments_leave_a_champion_that_loads(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    moments = random.Random(0)  # noqa: S311 - when to kill, no secret
    with home(tmp_path) as database:
        asked(database, str(tmp_path / "series.csv"))
        start = time.monotonic()
        assert ended(begun(processes, tmp_path, claimed(database))) == DONE
        seconds = time.monotonic() - start
        assert sound(tmp_path) is not None
        killed = 0
        for kill in range(KILLS):
            # other data each time: another version, and an alias that may move
            write_panel(
                tmp_path / "series.csv", panel_of(*(seasonal(91 + kill, row) for row in range(3)))
            )
            run = asked(database, str(tmp_path / "series.csv"))
            last = False
            for _ in range(3):
                process = begun(processes, tmp_path, claimed(database))
                last = moments.random() < 0.5
                process.join(SECONDS if last else moments.uniform(0.0, seconds))
                killed += process.is_alive()
                process.kill()
                process.join()
                assert sound(tmp_path) is not None
                if found(database, run).status != "running":
                    break
                left(database)
            assert claimed(database) is None
            assert found(database, run).status in ("succeeded", "refused", "failed")
        assert killed


@pytest.mark.parametrize(("beats", "taken"), PAUSES)
def test_a_paused_process_that_wakes_after_its_lease_cannot_promote(
    tmp_path: Path, processes: ForkServerContext, beats: bool, taken: bool
) -> None:
    with home(tmp_path) as database:
        run = asked(database, str(tmp_path / "series.csv"))
        first = claimed(database)
        assert first is not None
        paused = begun(processes, tmp_path, first, "promote", signal.SIGSTOP, beats=beats)
        _until_stopped(paused)
        left(database)
        if taken:
            assert ended(begun(processes, tmp_path, claimed(database))) == DONE
            assert sound(tmp_path) == 1
            client = open_client(Registry.embedded(tmp_path))
            client.delete_registered_model_alias(TASK, CHAMPION)  # to see whether it comes back
        before = found(database, run)
        os.kill(paused.pid or 0, signal.SIGCONT)
        assert ended(paused) == LOST
        assert sound(tmp_path) is None
        assert found(database, run) == before
        assert not _holds(database, first)


def _until_stopped(process: ForkServerProcess) -> None:
    watched = psutil.Process(process.pid)
    deadline = time.monotonic() + SECONDS
    while watched.status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _holds(database: Database, run: Run) -> bool:
    with database.reading() as connection:
        return holds(connection, Token(run.id, run.fence), now_of(connection))
