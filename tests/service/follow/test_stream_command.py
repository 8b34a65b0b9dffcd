"""`gatecast stream` as a process beside a real service."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.commands import environment
from tests.service.follow.sending import HEADER, command, following, log, row, stream, told
from tests.service.running import eventually

pytestmark = pytest.mark.slow


def test_a_file_goes_into_its_streams_and_forecasts_come_out(url: str, tmp_path: Path) -> None:
    rows = [row(name, hour, hour if hour != 3 else "") for hour in range(5) for name in "ab"]
    (tmp_path / "a.csv").write_text(HEADER + "".join(rows))
    done = stream(url, tmp_path, "load", "a.csv", "--once")
    assert (done.returncode, done.stderr) == (
        0,
        "gatecast: 11 lines read; 10 observations of 2 streams taken\n",
    )
    assert log(url, "a") == log(url, "b") == [0, 1, 2, None, 4]
    for name, line in zip("ab", done.stdout.splitlines(), strict=True):
        assert line.startswith(f"2026-03-01T04:00:00+00:00  {name}  4  → ")
        assert line.endswith("]  (warming, and 4 before it)")
    answer = httpx.get(f"{url}/v1/models/load/streams/a/forecast?h=1&level=80").json()["forecast"]
    numbers = [f"{answer[key][0]:.6g}" for key in ("mean", "lo-80", "hi-80")]
    assert "{} [{}, {}]".format(*numbers) in done.stdout


def test_each_observation_has_its_forecast_if_requests_hold_one(url: str, tmp_path: Path) -> None:
    given = HEADER + "".join(row("each", hour, hour) for hour in (0, 1, 4, 4))
    done = stream(url, tmp_path, "load", "-", "--batch", "1", "--level", "95,80", given=given)
    lines = [line.split("  ") for line in done.stdout.splitlines()]
    assert [line[0][11:16] for line in lines] == ["00:00", "01:00", "04:00", "04:00"]
    marks = ["(warming)", "(warming)", "(2 missing before it, warming)", "(duplicate, warming)"]
    assert [line[-1] for line in lines] == marks


def test_what_was_sent_before_changes_nothing(url: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + row("twice", 0) + row("twice", 1))
    stream(url, tmp_path, "load", "a.csv", "--once")
    again = stream(url, tmp_path, "load", "a.csv", "--once")
    assert again.returncode == 0
    assert "2 observations of 1 stream taken, 2 of them known already" in again.stderr
    assert log(url, "twice") == [1.5, 1.5]


def test_lines_that_are_bad_or_refused_are_named_and_the_others_go_on(
    url: str, tmp_path: Path
) -> None:
    lines = [row("bad", 0), row("bad", 1, "many"), "bad,now,1\n", "{oops\n", row("bad", 0, 9)]
    (tmp_path / "a.csv").write_text(HEADER + "".join(lines) + row("bad", 2))
    done = stream(url, tmp_path, "load", "a.csv", "--once")
    assert done.returncode == 3
    assert "a.csv:3: y: 'many' is no number" in done.stderr
    assert "a.csv:4: bad: refused: ds: " in done.stderr
    assert "a.csv:5: is no JSON" in done.stderr
    assert "a.csv:6: bad: refused: the stream has another value" in done.stderr
    assert "2 observations of 1 stream taken, 2 lines bad, 2 refused" in done.stderr
    assert log(url, "bad") == [1.5, 1.5]


def test_json_comes_out_as_the_service_answers(url: str, tmp_path: Path) -> None:
    given = "".join(json.dumps({"ds": step, "y": step / 2}) + "\n" for step in (0, 1, 2, 1))
    done = stream(url, tmp_path, "steps", "-", "--unique-id", "d", "--json", given=given)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["ds"] for answer in answers] == [0, 1, 2, 1]
    assert [answer["duplicate"] for answer in answers] == [False, False, False, True]
    assert len(answers[-1]["forecast"]["mean"]) == 3
    assert set(answers[-1]["forecast"]["quantiles"]) >= {"0.1", "0.9"}


def test_a_model_without_quantiles_is_shown_without_an_interval(url: str, tmp_path: Path) -> None:
    words = ("point", "-", "--unique-id", "p", "--h", "2")
    done = stream(url, tmp_path, *words, given="ds,y\n1,5\n")
    time, name, y, arrow, first, second, mark = done.stdout.strip().split("  ")
    assert (time, name, y, arrow, mark) == ("1", "p", "5", "→", "(warming)")
    assert float(first) != float(second)


def test_a_late_value_is_put_in_its_place_in_streams_opened_with_rewind(
    url: str, tmp_path: Path
) -> None:
    given = HEADER + row("late", 0, 0) + row("late", 2, 2) + row("late", 1, 1)
    done = stream(url, tmp_path, "load", "-", "--rewind", "3", given=given)
    assert (done.returncode, log(url, "late")) == (0, [0, 1, 2])
    refused = given.replace("late", "strict")
    done = stream(url, tmp_path, "load", "-", given=refused)
    assert (done.returncode, log(url, "strict")) == (3, [0, 2])


def test_a_closed_stream_stays_closed(url: str, tmp_path: Path) -> None:
    stream(url, tmp_path, "load", "-", given=HEADER + row("closed", 0))
    httpx.delete(f"{url}/v1/models/load/streams/closed")
    done = stream(url, tmp_path, "load", "-", given=HEADER + row("closed", 1) + row("open", 1))
    assert done.returncode == 3
    assert "standard input:2: closed: refused: the stream was closed" in done.stderr
    assert httpx.get(f"{url}/v1/models/load/streams/closed").status_code == 410
    assert log(url, "open") == [1.5]


def test_a_stream_that_cannot_be_opened_is_told(url: str, tmp_path: Path) -> None:
    done = stream(url, tmp_path, "sites", "-", given=HEADER + row("s", 0))
    assert done.returncode == 3
    assert "the stream cannot be opened: stat_exog.area: is required" in done.stderr


def test_the_files_of_a_folder_are_taken_by_name(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    for hour in (2, 0, 1):
        (folder / f"{hour}.csv").write_text(HEADER + row("folder", hour, hour))
    with following(url, tmp_path, "load", "new") as process:
        eventually(lambda: log(url, "folder") == [0, 1, 2])
        (folder / "3.ndjson").write_text(
            '{"unique_id": "folder", "ds": "2026-03-01T03:00Z", "y": 3}'
        )
        eventually(lambda: log(url, "folder") == [0, 1, 2, 3])
        status, err = told(process, signal.SIGTERM)
    assert status == 0
    assert "7 lines read; 4 observations" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_file_is_followed_as_it_grows_until_a_signal(
    url: str, tmp_path: Path, number: signal.Signals
) -> None:
    file, name = tmp_path / "a.csv", f"grows-{number.name}"
    file.write_text(HEADER + row(name, 0))
    with following(url, tmp_path, "load", "a.csv") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("2026-03-01T00:00:00+00:00")
        with file.open("a") as opened:
            opened.write(row(name, 1)[:-5])
            opened.flush()
            time.sleep(0.6)
            assert len(log(url, name)) == 1
            opened.write(row(name, 1)[-5:])
        assert process.stdout.readline().startswith("2026-03-01T01:00:00+00:00")
        status, err = told(process, number)
    assert (status, "2 observations of 1 stream taken" in err) == (0, True)


def test_a_pipe_is_answered_as_it_comes(url: str, tmp_path: Path) -> None:
    with following(url, tmp_path, "load", "-", "--unique-id", "pipe") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("ds,y\n")
        for hour in range(3):
            process.stdin.write(row("", hour, hour)[1:])
            process.stdin.flush()
            assert f"T0{hour}:00:00+00:00  pipe  {hour}  → " in process.stdout.readline()
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_reader_that_has_seen_enough_ends_it_quietly(url: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "".join(row(f"head-{n}", 0) for n in range(3000)))
    done = subprocess.run(
        ["bash", "-c", '"$@" | head -1', "-", *command(url, "load", "a.csv")],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "Broken pipe" not in done.stderr


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (("nothing", "-"), 1, "no such model"),
        (("load", "nowhere.csv", "--once"), 1, "there is no file nowhere.csv"),
        (("load", "a.csv", "--once", "--h", "99"), 1, "the model forecasts 6 steps at most"),
        (("load", "a.csv", "--once", "--level", "99.9"), 1, "level"),
        (("load", "a.csv", "--level", "most"), 2, "--level"),
        (("load", "a.csv", "--columns", "z=1"), 2, "--columns"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line(
    url: str, tmp_path: Path, words: tuple[str, ...], status: int, reason: str
) -> None:
    (tmp_path / "a.csv").write_text(HEADER + row("wrong", 0))
    done = stream(url, tmp_path, *words)
    assert done.returncode == status, done.stderr
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_no_url_is_told(tmp_path: Path) -> None:
    done = stream("127.0.0.1", tmp_path, "load", "-")
    assert done.returncode == 2
    assert "must begin with http" in done.stderr


def test_it_starts_without_what_is_heavy() -> None:
    heavy = ("torch", "mlflow", "numpy", "fastapi", "polars", "sqlalchemy")
    code = f"""
import sys, gatecast, service.follow.order, service.follow.saying
print([name for name in {heavy!r} if name in sys.modules])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
