"""The log against a plain list, whatever two replicas do to it and however stale their views."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.append import Append, append
from store.database import Database, open_database
from store.log import arrived_after, rows_after, rows_until_seq, stored, tails
from tests.store.databases import opened

STREAMS = 3


@dataclass
class Model:
    """One stream: its rows in the order of arrival, and what every replica may know of it."""

    rows: list[tuple[int, float, str | None]] = field(default_factory=list)
    late_seq: int = 0

    @property
    def tail_seq(self) -> int:
        if not self.rows:
            return 0
        return 1 + max(range(len(self.rows)), key=lambda place: self.rows[place][0])

    def first_late(self, ds: list[int]) -> int | None:
        newest = max((row[0] for row in self.rows), default=None)
        late = []
        for each in ds:
            if newest is not None and each < newest:
                late.append(each)
            newest = each if newest is None else max(newest, each)
        return min(late, default=None)

    def take(self, rows: list[tuple[int, float, str | None]], first_late: int | None) -> None:
        self.rows += rows
        if first_late is not None:
            self.late_seq = len(self.rows)


values = st.floats(allow_infinity=False)
rows = st.lists(
    st.tuples(st.integers(0, 40), values, st.none() | st.text(max_size=5).map(ascii)),
    unique_by=lambda row: row[0],
    max_size=4,
)
# Replica, then for each stream that is appended to its rows, and whether the view is renewed first.
batches = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.dictionaries(st.integers(0, STREAMS - 1), st.tuples(rows, st.booleans()), min_size=1),
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def replicas(shared_url: str) -> Iterator[tuple[Database, Database]]:
    both = open_database(shared_url), open_database(shared_url)
    yield both
    for each in both:
        each.close()


@given(batches)
def test_the_log_is_what_was_appended_to_views_that_were_right(
    replicas: tuple[Database, Database],
    batches: list[tuple[int, dict[int, tuple[list[tuple[int, float, str | None]], bool]]]],
) -> None:
    ids = opened(replicas[0], STREAMS)
    models = [Model() for _ in ids]
    views = [[(0, 0)] * STREAMS for _ in replicas]
    for replica, batch in batches:
        view = views[replica]
        appends = []
        for place, (new, renewed) in batch.items():
            model = models[place]
            if renewed:
                with replicas[replica].reading() as connection:
                    tail = tails(connection, [ids[place]])[ids[place]]
                assert (tail.seq, tail.late_seq) == (model.tail_seq, model.late_seq)
                view[place] = (tail.seq, tail.late_seq)
            ds, y, exog = ([row[column] for row in new] for column in range(3))
            late = model.first_late(ds)  # type: ignore[arg-type]
            appends.append(Append(ids[place], *view[place], ds, y, exog, late))  # type: ignore[arg-type]
        moved = append(replicas[replica], appends, 1)
        for place, (new, _) in batch.items():
            model = models[place]
            right = view[place] == (model.tail_seq, model.late_seq)
            taken = {row[0] for row in new} & {row[0] for row in model.rows}
            assert (ids[place] in moved) == (not right or bool(taken))
            if ids[place] not in moved:
                model.take(new, model.first_late([row[0] for row in new]))
                view[place] = (model.tail_seq, model.late_seq)
    for stream, model in zip(ids, models, strict=True):
        check(replicas[1], stream, model)


def check(database: Database, stream: int, model: Model) -> None:
    """Every way to read a stream tells the same."""
    with database.reading() as connection:
        everything = rows_after(connection, {stream: None})[stream]
        by_pair = stored(connection, [(stream, ds) for ds in range(41)])
        seq = len(model.rows) // 2
        before = rows_until_seq(connection, stream, seq)
        after = arrived_after(connection, stream, seq, 3)
    expected = sorted(
        (ds, y, exog, place) for place, (ds, y, exog) in enumerate(model.rows, start=1)
    )
    assert everything.ds.tolist() == [row[0] for row in expected]
    assert everything.exog == [row[2] for row in expected]
    assert everything.seq.tolist() == [row[3] for row in expected]
    for found, (ds, y, exog, place) in zip(everything.y.tolist(), expected, strict=True):
        assert found == y or (math.isnan(found) and math.isnan(y))
        assert by_pair.pop((stream, ds)) == (None if math.isnan(y) else y, exog, place)
    assert not by_pair
    assert sorted(before.seq.tolist()) == list(range(1, seq + 1))
    assert after.ds.tolist() == [row[0] for row in model.rows[seq : seq + 3]]
