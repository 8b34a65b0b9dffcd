"""Files that grow, are renamed and are written anew; folders; pipes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from service.follow.folder import Folder
from service.follow.lines import LONGEST, Cutter, Source
from service.follow.piped import Piped
from service.follow.tail import Tail
from tests.service.running import eventually


class Read:
    """What was read of a source so far: its lines' texts, and the faults of lines that are none."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.texts: list[str] = []
        self.faults: list[str] = []

    def more(self) -> list[str]:
        """Read all that is there now; the texts of all lines so far."""
        idle = 0
        while not self._source.ended and idle < 3:  # a rotation takes two looks
            lines = self._source.read()
            idle = idle + 1 if lines is None else 0
            for line in lines or ():
                if line.fault is None:
                    self.texts.append(line.text.decode())
                else:
                    self.faults.append(f"{line.number}: {line.fault}")
        return self.texts

    def until(self, *texts: str) -> None:
        """Read until these lines are there, and no others."""
        eventually(lambda: self.more() == list(texts))


def quiet(_: str) -> None:
    """Nobody to tell."""


@pytest.fixture
def tail() -> Iterator[Callable[..., Read]]:
    """Makes what reads a file; closed afterwards."""
    with contextlib.ExitStack() as opened:

        def make(path: Path, *, follow: bool = True, note: Callable[[str], None] = quiet) -> Read:
            source = Tail(path, follow=follow, note=note)
            opened.callback(source.close)
            return Read(source)

        yield make


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_bytes_are_cut_the_same_however_they_come() -> None:
    data = "\ufeffeins\r\nzwei\n\ndrei größer\n".encode()
    whole = [line.text for line in Cutter("a").cut(data)]
    assert whole == [b"eins", b"zwei", b"", "drei größer".encode()]
    for seed in range(50):
        cutter, at = Cutter("a"), sorted(seed * k % len(data) for k in (3, 5, 11, 17))
        parts = [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]
        assert [line.text for part in parts for line in cutter.cut(part)] == whole


def test_a_line_without_end_costs_bounded_memory() -> None:
    cutter = Cutter("a")
    for _ in range(8):
        assert cutter.cut(b"x" * LONGEST) == []
    long, good = cutter.cut(b"x\ngood\n")
    assert (long.number, long.fault) == (1, f"has more than {LONGEST} bytes")
    assert (good.number, good.text) == (2, b"good")


def test_lines_are_read_when_they_are_whole(tmp_path: Path, tail: Callable[..., Read]) -> None:
    file = tmp_path / "a"
    file.write_text("one\ntw")
    read = tail(file)
    assert read.more() == ["one"]
    append(file, "o\nthr")
    assert read.more() == ["one", "two"]
    append(file, "ee\n")
    assert read.more() == ["one", "two", "three"]


def test_the_last_line_needs_no_end_where_nothing_follows(
    tmp_path: Path, tail: Callable[..., Read]
) -> None:
    file = tmp_path / "a"
    file.write_text("one\ntwo")
    assert tail(file, follow=False).more() == ["one", "two"]


def test_what_was_written_before_a_rename_is_read_before_the_new_file(
    tmp_path: Path, tail: Callable[..., Read]
) -> None:
    file = tmp_path / "a"
    file.write_text("one\n")
    read = tail(file)
    read.more()
    with file.open("a") as old:
        old.write("two\n")
        file.rename(tmp_path / "a.1")
        file.write_text("four\n")
        old.write("three\n")
    assert read.more() == ["one", "two", "three", "four"]
    assert read.faults == []


def test_a_file_that_is_away_for_a_while_is_waited_for(
    tmp_path: Path, tail: Callable[..., Read]
) -> None:
    file, told = tmp_path / "a", list[str]()
    read = tail(file, note=told.append)
    assert read.more() == []
    assert told == [f"there is no file {file}; waiting for it"]
    file.write_text("one\n")
    read.more()
    file.unlink()
    assert read.more() == ["one"]
    file.write_text("two\n")
    assert read.more() == ["one", "two"]


def test_a_missing_file_that_is_not_followed_is_an_error(
    tmp_path: Path, tail: Callable[..., Read]
) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        tail(tmp_path / "a", follow=False).more()


@pytest.mark.parametrize("anew", ["2\n", "22222222\n33333333\n"], ids=["shorter", "longer"])
def test_a_file_that_is_written_anew_is_read_from_its_start(
    tmp_path: Path, tail: Callable[..., Read], anew: str
) -> None:
    file, told = tmp_path / "a", list[str]()
    file.write_text("one\n")
    read = tail(file, note=told.append)
    read.more()
    file.write_text(anew)
    assert read.more() == ["one", *anew.split()]
    assert told == [f"{file} was truncated; reading it from its start"]


def test_half_a_line_that_is_lost_is_told_and_not_taken(
    tmp_path: Path, tail: Callable[..., Read]
) -> None:
    file = tmp_path / "a"
    file.write_text("one\n12")  # of 123.5, perhaps
    read = tail(file)
    read.more()
    file.rename(tmp_path / "b")
    file.write_text("two\n")
    assert read.more() == ["one", "two"]
    assert read.faults == ["2: is cut off before its end"]


def test_how_much_is_left_of_a_file_is_known(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("x" * 99 + "\n" + "y" * 199_999 + "\n")
    with contextlib.closing(Tail(file, follow=True, note=quiet)) as source:
        assert source.left is None
        source.read()
        assert source.left == (200_100 - 2**16, 200_100)


def test_the_files_of_a_folder_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.csv", "a.ndjson", "c.tsv", ".hidden.csv", "notes.md"):
        (tmp_path / name).write_text(name)
    (tmp_path / "d.csv").mkdir()
    read = Read(Folder(tmp_path, follow=False, note=quiet))
    assert read.more() == ["a.ndjson", "b.csv", "c.tsv"]


@pytest.mark.slow
def test_new_files_of_a_folder_are_read_when_they_are_whole_each_once(tmp_path: Path) -> None:
    told = list[str]()
    read = Read(Folder(tmp_path, follow=True, note=told.append))
    file = tmp_path / "b.csv"
    file.write_text("one\n12")
    assert read.more() == []
    append(file, "3.5\n")
    read.until("one", "123.5")
    (tmp_path / "c.csv").write_text("three\n")
    read.until("one", "123.5", "three")
    assert told == []
    append(file, "later\n")  # all of it again: what is known already are duplicates
    read.until("one", "123.5", "three", "one", "123.5", "later")
    assert told == [f"{file} has changed; reading it again"]


def test_a_pipe_is_read_as_it_comes_until_it_is_closed() -> None:
    out, into = os.pipe()
    source = Piped(out, "-")
    read = Read(source)
    try:
        assert read.more() == []
        os.write(into, b"one\ntw")
        assert read.more() == ["one"]
        os.write(into, b"o\nthree")
        os.close(into)
        assert read.more() == ["one", "two", "three"]
        assert source.ended
    finally:
        os.close(out)
        with contextlib.suppress(OSError):
            os.close(into)
