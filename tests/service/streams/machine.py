"""Anything that may happen to streams, in any order."""

from __future__ import annotations

from typing import NamedTuple

import orjson
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from service.streams.observation_request import read_stream
from tests.service.streams.driving import (
    FIRST_STEP,
    NAMES,
    SECONDS,
    Drive,
    Move,
    exog_of,
    value_of,
)
from tests.service.streams.plain import PlainStream, Row

MOST_STREAMS = 5


class Post(NamedTuple):
    """A request. stream: which of those that are there, counted round."""

    stream: int
    moves: list[Move]
    wants: bool


KINDS = ("next",) * 6 + ("skip", "skip", "again", "conflict", "late", "late", "astray")
moves = st.builds(Move, st.sampled_from(KINDS), st.integers(0, 11), st.integers(0, 999))
which = st.integers(0, MOST_STREAMS - 1)
posts = st.builds(Post, which, st.lists(moves, max_size=5), st.booleans())
flags = st.booleans()
tasks = st.integers(0, 2)
rewinds = st.integers(0, 4)
gaps = st.none() | st.integers(0, 8)


class Machine(RuleBasedStateMachine):
    """Two replicas take turns on one store; what each answers is what plain Python makes of it."""

    def __init__(self, drive: Drive) -> None:
        super().__init__()
        self.drive = drive
        self.drive.start()
        self.flooded = False

    @initialize(task=tasks, steps=st.integers(0, 9), rewind=rewinds)
    def first(self, task: int, steps: int, rewind: int) -> None:
        self.open(task, steps, rewind, None)

    @precondition(lambda self: len(self.drive.streams) < MOST_STREAMS)
    @rule(task=tasks, steps=st.integers(0, 9), rewind=rewinds, max_gap=gaps)
    def open(self, task: int, steps: int, rewind: int, max_gap: int | None) -> None:
        drive = self.drive
        name = list(drive.versions)[task]
        spec = drive.replica.champion(name).spec
        stat = (2.5,) * len(spec.stat_exog)
        plain = PlainStream(name, f"s{next(NAMES)}", rewind, max_gap, stat)
        drive.streams.append(plain)
        rows = [
            Row(FIRST_STEP + k + k // 4, value_of(k + task), exog_of(spec, k)) for k in range(steps)
        ]
        assert drive.put(plain, {"rewind": rewind, "max_gap": max_gap, "exact": True}, rows)

    @rule(wanted=st.lists(posts, min_size=1, max_size=6), together=flags, futr=flags)
    def post(self, wanted: list[Post], together: bool, futr: bool) -> None:
        drive = self.drive
        if together:  # those that want no forecast are another request, which comes first
            wanted.sort(key=lambda each: each.wants)
        judged = [drive.judged(each.stream, each.moves, wants=each.wants) for each in wanted]
        drive.run(drive.post(judged, together=together, futr=futr))

    @precondition(lambda self: not self.flooded)
    @rule(stream=which, number=st.integers(513, 560), wants=flags)
    def flood(self, stream: int, number: int, wants: bool) -> None:
        """More steps than a batch takes, some of them missing; once a run, as it takes long."""
        self.flooded = True
        moves = [Move("next" if k * number % 41 else "skip", k % 4, k) for k in range(number)]
        self.post([Post(stream, moves, wants)], together=False, futr=False)

    @rule()
    def read(self) -> None:
        posts = [Post(place, [], True) for place in range(len(self.drive.streams))]
        self.post(posts, together=False, futr=False)

    @rule()
    def switch(self) -> None:
        self.drive.here = 1 - self.drive.here

    @rule()
    def restart(self) -> None:
        self.drive.run(self.drive.replica.stop())
        self.drive.start_again()

    @rule(wanted=st.lists(posts, max_size=4), pauses=st.integers(0, 12))
    def crash(self, wanted: list[Post], pauses: int) -> None:
        drive = self.drive
        judged = [drive.judged(each.stream, each.moves, wants=each.wants) for each in wanted]
        try:
            drive.run(drive.crash(judged, pauses))
        finally:
            drive.start_again()

    @rule(task=tasks, both=flags)
    def promote(self, task: int, both: bool) -> None:
        drive = self.drive
        for place in (0, 1) if both else (drive.here,):
            drive.promote(list(drive.versions)[task], place)

    @rule(stream=which)
    def close(self, stream: int) -> None:
        drive, plain = self.drive, self.drive.at(stream)
        loaded = drive.replica.champion(plain.task)
        said = drive.run(drive.replica.streams.close(loaded, plain.unique_id))
        assert said["state"] == "closed"
        plain.closed = True

    @rule(stream=which, again=flags)
    def reopen(self, stream: int, again: bool) -> None:
        """A history may say again what is known."""
        plain = self.drive.at(stream)
        plain.closed = False
        rows = sorted(plain.rows, key=lambda row: row.step) if again else []
        assert not self.drive.put(plain, {}, rows)

    @precondition(lambda self: len(self.drive.streams) < MOST_STREAMS)
    @rule(stream=which)
    def copy(self, stream: int) -> None:
        """A snapshot restored under another name has the same, in the order of time."""
        drive, plain = self.drive, self.drive.at(stream)
        loaded = drive.replica.champion(plain.task)
        snapshot = drive.run(drive.replica.streams.snapshot(loaded, plain.unique_id))
        copied = PlainStream(plain.task, f"s{next(NAMES)}", plain.rewind, plain.max_gap, plain.stat)
        copied.hold(sorted(plain.rows, key=lambda row: row.step))
        body = read_stream(orjson.dumps(snapshot))
        opening = drive.replica.streams.open(loaded, copied.unique_id, body, SECONDS)
        reply, made = drive.run(opening)
        assert made
        assert reply.head.seq == len(copied.rows)
        drive.check_head(copied, reply)
        drive.streams.append(copied)

    def teardown(self) -> None:
        """Both know the same in the end, and so does the log."""
        drive = self.drive
        for drive.here in (0, 1):
            if drive.streams:
                self.read()
            drive.run(drive.replica.stop())
        for plain in drive.streams:
            assert drive.logged(plain) == plain.rows
