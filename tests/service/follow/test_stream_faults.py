"""Answers that are lost, a service that is away, a stop in the middle: all is there, once."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import httpx
import pytest

from store.settings import Settings
from tests.service.follow.cutting import cutting
from tests.service.follow.sending import HEADER, following, log, row, stream, told
from tests.service.registries import EmbeddedRegistry, spec
from tests.service.running import eventually, running

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(3))
def test_answers_that_are_lost_cost_no_observation_and_count_none_twice(
    url: str, tmp_path: Path, seed: int
) -> None:
    names = [f"lost-{seed}-{number}" for number in range(3)]
    rows = [row(name, hour, hour) for hour in range(40) for name in names]
    (tmp_path / "a.csv").write_text(HEADER + "".join(rows))
    with cutting(url, seed) as relay:
        done = stream(relay.url, tmp_path, "load", "a.csv", "--once", "--batch", "7")
    assert done.returncode == 0, done.stderr
    assert relay.lost > 2
    assert [log(url, name) for name in names] == [list(range(40))] * 3
    positions = httpx.get(f"{url}/v1/models/load/streams/{names[0]}").json()["observations"]
    assert positions == 40


def test_a_service_that_is_started_later_and_again_is_waited_for(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path / "var", port=0, log_level="error")
    EmbeddedRegistry(settings).register("load", spec())
    with running(settings) as url:
        port = int(url.rpartition(":")[2])
    settings = settings.model_copy(update={"port": port})
    file = tmp_path / "a.csv"
    file.write_text(HEADER + row("again", 0, 0))
    with following(url, tmp_path, "load", "a.csv") as process:
        assert process.stderr is not None
        assert "does not answer" in process.stderr.readline()
        with running(settings):
            eventually(lambda: log(url, "again") == [0])
        with file.open("a") as opened:
            opened.write(row("again", 1, 1) + row("again", 2, 2))
        time.sleep(1)
        with running(settings):
            eventually(lambda: log(url, "again") == [0, 1, 2])
            assert told(process, signal.SIGTERM)[0] == 0


def test_a_stop_with_lines_that_are_not_answered_says_so(tmp_path: Path) -> None:
    with following("http://127.0.0.1:9", tmp_path, "load", "-") as process:
        assert process.stderr is not None
        assert "does not answer" in process.stderr.readline()
        assert told(process, signal.SIGINT)[0] == 130
