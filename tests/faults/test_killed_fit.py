"""`kill -9` at any moment of a fit: every registered version loads, and the rest resumes."""

from __future__ import annotations

import os
import random
import time
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import pytest
import torch

from models.forecaster import Forecaster
from store.conventions import CHAMPION
from tests.training.fits import embedded
from tests.training.pipelines import TASK, plan_of, registered, steps_panel
from training import train
from training.pipeline import run
from training.registry import Registry
from training.versions import versions

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("GATECAST_TEST_KILLS", "40")) // 10
"""`make faults` kills more."""


def work(var: str, resume: bool) -> None:
    """The whole plan, with a checkpoint after every batch, so that kills fall into those too."""
    torch.set_num_threads(1)
    train._SAVE_SECONDS = 0.0
    here = Path(var)
    plan = plan_of(here / "fits", resume=resume)
    run(steps_panel(), plan, Registry.embedded(here), lambda _: None)


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes of their own that need not import everything again."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.warm"])
    return context


def begun(processes: ForkServerContext, var: Path, *, resume: bool) -> ForkServerProcess:
    process = processes.Process(target=work, args=(str(var), resume))
    process.start()
    return process


def weights(found: dict[int, Forecaster]) -> dict[str, dict[str, torch.Tensor]]:
    return {each.spec.cell: dict(each.state_dict()) for each in found.values()}


def test_a_killed_fit_harms_nothing_and_resumes(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    reference = embedded(tmp_path / "reference")
    for _ in range(2):  # the first pays for what is compiled on first use
        start = time.monotonic()
        process = begun(processes, tmp_path / "reference", resume=False)
        process.join()
        whole = time.monotonic() - start
        assert process.exitcode == 0
    expected = weights(registered(reference))
    moments = random.Random(0)  # noqa: S311 - where to kill, no secret
    killed = 0
    for kill in range(KILLS):
        var = tmp_path / str(kill)
        registry = embedded(var)
        start = time.monotonic()
        process = begun(processes, var, resume=False)
        process.join(moments.uniform(0, whole))
        if process.is_alive():
            killed += 1
        else:  # other work has ended, and fits are faster than the one that was timed
            whole = time.monotonic() - start
        process.kill()
        process.join()
        assert len(registered(registry)) <= 2  # and each of them loads
        resumed = begun(processes, var, resume=True)
        resumed.join()
        assert resumed.exitcode == 0
        assert any(CHAMPION in version.aliases for version in versions(registry, TASK))
        torch.testing.assert_close(weights(registered(registry)), expected, rtol=0, atol=0)
    assert killed >= KILLS // 2
