"""The closed loop, whole: real servers, and nobody who retrains, promotes or swaps by hand."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

import gatecast
from processes.loop.chart import chart
from processes.loop.client import Live
from processes.loop.regimes import sales
from processes.loop.story import Plan, Story, Told, ratios
from tests.commands import ROOT
from tests.deploy.test_stack import Place, free_ports, temporary_place

SMALL = Plan(steady=40 * 21, after=4 * 21, threads=1)
"""What CI has time for: two minutes, most of them the two fits."""


@pytest.fixture
def place() -> Iterator[Place]:
    with temporary_place() as made:
        yield made


def test_habits_change_once_and_never_end_below_zero() -> None:
    data = sales(shops=3, before=700, after=700)
    assert data.y.shape == (1400, 3)
    assert data.y.min() > 0
    logs = np.log(data.y)
    before, after = logs[:700].reshape(-1, 7, 3), logs[700:].reshape(-1, 2, 7, 3)
    assert before.mean((0, 2)).argmax() == 5
    assert after.mean((0, 3)).argmax(1).tolist() == [0, 2]  # every second week is turned round
    rows = list(data.rows(0, 2))
    assert [row[:2] for row in rows[::3]] == [
        ("shop-01", "2021-01-04T00:00:00Z"),
        ("shop-01", "2021-01-05T00:00:00Z"),
    ]
    assert sales(shops=3, before=700, after=700).y.tolist() == data.y.tolist()


def test_scores_of_a_time_are_the_difference_of_two_looks() -> None:
    assert Live(30, 15.0).since(Live(20, 10.0)) == 0.5
    assert Live(4, 1.0).since(None) == 0.25
    assert np.isnan(Live(4, 1.0).since(Live(4, 1.0)))


def test_a_loop_is_drawn(tmp_path: Path) -> None:
    told = Told(
        60, error=[float("nan"), *[0.3] * 59, *[0.9] * 40, *[0.3] * 30], drift=100, swap=100
    )
    told.versions = "1", "2"
    chart(told).savefig(tmp_path / "loop.png")
    assert (tmp_path / "loop.png").stat().st_size > 10_000


def test_a_taken_port_of_mlflow_is_told_before_anything_is_fitted() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        free = str(free_ports(1)[0])
        words = ["demo", "--loop", "--port", free, "--mlflow-port", port]
        done = CliRunner().invoke(gatecast.app, words)
    assert done.exit_code == 2
    assert f"port {port} is taken" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_what_drifts_is_retrained_promoted_swapped_and_recovers(
    place: Place, tmp_path: Path
) -> None:
    done = place.make("stack")
    assert done.returncode == 0, done.stdout + done.stderr
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "GATECAST"))}
    environment = kept | {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{place.mlflow_port}",
        "GATECAST_DATABASE_URL_FILE": str(place.folder / "secrets" / "database_url"),
        "GATECAST_VAR": str(tmp_path / "var"),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    story = Story(SMALL, tmp_path, environment, lambda *_: None)
    story.fit()
    assert list((place.folder / "mlflow").rglob("weights.safetensors")), "not by way of the server"
    with httpx.Client(base_url=f"http://127.0.0.1:{place.port}", timeout=60) as http:
        story.watch(http)
        told = story.told
        state = http.get("/readyz").json()["tasks"]["sales"]
        runs = http.get("/v1/runs").json()["runs"]
        streams = http.get("/v1/models/sales/streams/shop-01").json()
    assert told.versions == ("1", "2")
    assert (told.raised["version"], told.run["trigger"], told.run["source"]) == (
        "1",
        "drift",
        "log",
    )
    assert told.run["outcome"]["champion"] == 2
    assert len(runs) == 1  # and the old version's drift starts no other
    assert state["version"] == "2"
    assert streams["version"] == "2"
    assert dict(ratios(told))[1] < 0.8
    assert all(ratio < 1 for _, ratio in ratios(told))
