"""What every test runs under: one thread of torch, and Hypothesis without a stopwatch."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

# A busy machine is no failure; in CI the same examples are drawn each time.
settings.register_profile(
    "gatecast",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("gatecast")


_LONGEST = (
    "service/streams/test_equality.py",
    "test_docs.py",
    "service/streams/test_equality_postgresql.py",
    "faults/test_killed_streams.py",
    "processes/test_loop.py",
    "contract/test_logged_model.py",
    "test_demo.py",
    "faults/test_killed_fit.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin first: no process is to be left alone with one at the end."""
    ranks = {name: rank for rank, name in enumerate(_LONGEST)}
    here = Path(__file__).parent
    items.sort(key=lambda item: ranks.get(str(item.path.relative_to(here)), len(ranks)))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small are slower on two threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI everything is there that a test may need: what skips has lost it, and fails."""
    report = yield
    if "CI" in os.environ and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
