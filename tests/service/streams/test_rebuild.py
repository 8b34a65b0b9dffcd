"""A stream from the store: whatever checkpoint there is, it is the stream that the log tells of."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.manifest import Memory, Reach
from service.slots import Loaded
from service.streams.checkpoint import checkpoint_of, pack, weights_of
from service.streams.rebuild import Rebuilt, Unloadable, rebuild
from store.append import Append, append
from store.checkpoints import save_checkpoints
from store.database import Database
from store.streams import Key, NewStream, change_stream, open_streams
from tests.service.streams.driving import NAMES, value_of
from tests.service.streams.plain import PlainStream, Row, assert_same

TASK = "counted"
MAX_GAP = 3
REACH = Reach(tolerance=1e-3, median=8, worst=10)


@pytest.fixture
def loaded(versions: dict[str, list[Loaded]]) -> Loaded:
    return versions[TASK][0]


def remembering(loaded: Loaded) -> Loaded:
    """The same version, of which it is known that ten steps tell all."""
    memory = Memory(n_series=1, longest=100, reaches=(REACH,))
    return replace(loaded, manifest=loaded.manifest.model_copy(update={"memory": memory}))


class Log:
    """A stream in the store, and the same in plain Python."""

    def __init__(self, database: Database, loaded: Loaded, *, exact: bool = False) -> None:
        self.database = database
        self.plain = PlainStream(TASK, f"r{next(NAMES)}", rewind=100, max_gap=MAX_GAP)
        timeline = loaded.spec.timeline.model_dump_json()
        new = NewStream(TASK, self.plain.unique_id, timeline, 100, MAX_GAP, None, exact, None, 5)
        with database.writing() as connection:
            [(stream, _)] = open_streams(connection, [new])
        self.id = stream.id
        self.late_seq = 0

    @property
    def key(self) -> Key:
        return TASK, self.plain.unique_id

    def take(self, steps: list[int]) -> None:
        """Append observations; those before the newest are late."""
        plain = self.plain
        newest = plain.newest
        tail_seq = 0 if newest is None else plain.places[newest]
        late = [step for step in steps if newest is not None and step < newest]
        rows = [Row(step, value_of(step)) for step in steps]
        y = [float("nan") if row.y is None else row.y for row in rows]
        first = min(late, default=None)
        appended = Append(self.id, tail_seq, self.late_seq, steps, y, None, first)
        assert not append(self.database, [appended], 9)
        for row in rows:
            plain.take(row)
        if late:
            self.late_seq = len(plain.rows)

    def rebuilt(self, loaded: Loaded) -> Rebuilt:
        found = rebuild(self.database, loaded, [self.key])[self.key]
        assert isinstance(found, Rebuilt)
        return found

    def keep(self, loaded: Loaded, found: Rebuilt) -> int:
        """Save a checkpoint of what was rebuilt; how many were taken."""
        [state] = pack(found.state)
        saved = checkpoint_of(self.id, loaded, found.options, found.head, state)
        return save_checkpoints(self.database, [saved], keep={})

    def check(self, loaded: Loaded, found: Rebuilt) -> None:
        plain = self.plain
        spec, seq = loaded.spec, len(plain.rows)
        assert (found.head.ds, found.head.start, found.head.steps) == plain.head(spec, seq)
        assert found.head.seq == seq
        assert found.head.exact
        with torch.inference_mode():
            values = loaded.forecaster.forecast(found.state).numpy()[0]
        assert_same(values, plain.forecast(loaded, seq))


parts = st.tuples(
    st.lists(st.integers(0, 30), min_size=1, max_size=8), st.booleans(), st.booleans()
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(parts, min_size=1, max_size=5))
def test_from_a_checkpoint_it_is_as_from_the_beginning(
    stored: Database, loaded: Loaded, parts: list[tuple[list[int], bool, bool]]
) -> None:
    log = Log(stored, loaded)
    for steps, kept, ascending in parts:
        base = (log.plain.newest or 0) + 1 if ascending else 0
        new = sorted({base + step for step in steps} - set(log.plain.places))
        if new:
            log.take(new)
        found = log.rebuilt(loaded)
        if log.plain.forecast(loaded, len(log.plain.rows)) is not None:
            log.check(loaded, found)
        if kept:
            assert log.keep(loaded, found) == 1


def test_a_checkpoint_spares_the_log_before_it(stored: Database, loaded: Loaded) -> None:
    log = Log(stored, loaded)
    log.take(list(range(20)))
    found = log.rebuilt(loaded)
    assert found.saved == 0
    log.keep(loaded, found)
    log.take([20, 21])
    again = log.rebuilt(loaded)
    assert (again.saved, again.head.seq) == (20, 22)
    log.check(loaded, again)


def test_a_checkpoint_of_other_weights_is_never_read(
    stored: Database, versions: dict[str, list[Loaded]]
) -> None:
    one, other = versions[TASK]
    log = Log(stored, one, exact=True)
    log.take(list(range(20)))
    found = log.rebuilt(one)
    poisoned = replace(found, state=found.state.take(torch.tensor([0])))
    poisoned.state.memory.fill_(7.0)
    log.keep(one, poisoned)
    moved = log.rebuilt(other)
    assert moved.saved == 0
    log.check(other, moved)
    assert weights_of(one) != weights_of(other)
    assert log.rebuilt(one).state.memory.eq(7.0).all()  # while its own version reads it


def test_a_late_observation_ends_the_checkpoints_that_have_not_seen_it(
    stored: Database, loaded: Loaded
) -> None:
    log = Log(stored, loaded)
    log.take([0, 1, 2])
    log.keep(loaded, log.rebuilt(loaded))
    log.take([4, 5, 6])
    stale = log.rebuilt(loaded)
    log.keep(loaded, stale)
    log.take([3])
    found = log.rebuilt(loaded)
    assert found.saved == 3
    log.check(loaded, found)
    assert log.keep(loaded, stale) == 0  # by a replica that does not know yet


@pytest.mark.parametrize("exact", [False, True])
def test_a_moved_stream_replays_the_versions_memory_or_everything(
    stored: Database, versions: dict[str, list[Loaded]], exact: bool
) -> None:
    one, other = versions[TASK][0], remembering(versions[TASK][1])
    log = Log(stored, one, exact=exact)
    log.take(list(range(50)))
    log.keep(one, log.rebuilt(one))
    moved = log.rebuilt(other)
    assert moved.head.exact == exact
    assert moved.head.steps == (50 if exact else 10)
    again = log.rebuilt(other)  # by another replica
    torch.testing.assert_close(again.state.memory, moved.state.memory)
    assert again.head == moved.head
    log.take([50])
    assert log.rebuilt(other).head.steps == moved.head.steps + 1
    log.take([60])  # after a long gap, there is nothing that was left out
    assert log.rebuilt(other).head.exact


def test_a_new_stream_is_exact_whatever_the_memory(stored: Database, loaded: Loaded) -> None:
    log = Log(stored, loaded)
    log.take(list(range(50)))
    log.check(remembering(loaded), log.rebuilt(remembering(loaded)))


def test_a_closed_stream_cannot_be_had_nor_one_of_another_timeline(
    stored: Database, loaded: Loaded, versions: dict[str, list[Loaded]]
) -> None:
    log = Log(stored, loaded)
    log.take([0, 1])
    found = rebuild(stored, versions["hourly"][0], [log.key])[log.key]
    assert isinstance(found, Unloadable)
    assert (found.ds, found.closed) == (1, False)
    with stored.writing() as connection:
        change_stream(
            connection, log.id, rewind=0, max_gap=None, ttl_hours=None, exact=False, closed=1
        )
    found = rebuild(stored, loaded, [log.key, (TASK, "nobody")])[log.key]
    assert isinstance(found, Unloadable)
    assert found.closed
    assert (TASK, "nobody") not in rebuild(stored, loaded, [(TASK, "nobody")])


def test_streams_of_every_length_are_rebuilt_at_once(stored: Database, loaded: Loaded) -> None:
    logs = [Log(stored, loaded) for _ in range(9)]
    for place, log in enumerate(logs[1:]):
        log.take(list(range(3 * place + 1)))
        if place % 2:
            log.keep(loaded, log.rebuilt(loaded))
            log.take([100 + place, 101 + place][: place % 3])
    found = rebuild(stored, loaded, [log.key for log in logs])
    for log in logs[1:]:
        each = found[log.key]
        assert isinstance(each, Rebuilt)
        log.check(loaded, each)
    empty = found[logs[0].key]
    assert isinstance(empty, Rebuilt)
    assert empty.head.ds is None
