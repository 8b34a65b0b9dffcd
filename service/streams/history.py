"""What a stream's listeners were or would have been told, made again from its log."""

from __future__ import annotations

import numpy as np
import torch
from sqlalchemy import Connection

from service.slots import Loaded
from service.streams.arena import Arena
from service.streams.arrival import Arrival, Kind, Outcome
from service.streams.batch import Turn, judged
from service.streams.checkpoint import checkpoint_of, pack, weights_of
from service.streams.compute import compute
from service.streams.covariates import known_ahead
from service.streams.feeds import Event
from service.streams.rebuild import from_rows
from service.streams.replies import events_of
from service.streams.resident import Resident
from store.checkpoints import Checkpoint, newest_before
from store.database import Database
from store.log import Rows, arrived_after, rows_after, rows_until_seq
from store.streams import Key, Stream, find_streams

_MARKS = 8
"""States that are kept of the way so far, for observations that came late: some KB each."""
_TOLERANCE = 1e-6
"""How near, in scales of the window, a forecast is to one from the whole log: 100,000 steps take
the thread that rebuilds 3 s (GRU, 2 layers of 96), and the first event of each who comes back may
need them. Nothing is left out of a stream that asks for `exact`."""
_LAST_DS = 2**63 - 1


class Past:
    """A stream's log gone through once more, in the order in which it grew.

    seq: the place in the log that it stands at. Each event has the forecast that the log up to it
    gives, a late observation only from where it came. Only for one thread at a time.
    """

    def __init__(self, database: Database, loaded: Loaded, key: Key, seq: int) -> None:
        self.loaded = loaded
        self.seq = seq
        self._database = database
        self._key = key
        self._at: Resident | None = None
        self._marks: list[Checkpoint] = []

    def events(self, most: int) -> list[Event]:
        """The next events, at most so many; none where the log has no more. Raises StoreError."""
        events: list[Event] = []
        with self._database.reading() as connection:
            stream = find_streams(connection, [self._key]).get(self._key)
            if stream is None or stream.timeline != self.loaded.spec.timeline.model_dump_json():
                return events
            rows = arrived_after(connection, stream.id, self.seq, most)
            while len(rows):
                at = self._at or self._standing(connection, stream)
                if at.head.ds is None or rows.ds[0] > at.head.ds:
                    count = _in_order(rows)
                    events += self._follow(at, _part(rows, slice(0, count)))
                else:
                    count = 1
                    events.append(self._rewind(connection, stream, int(rows.ds[0])))
                rows = _part(rows, slice(count, None))
        return events

    def _standing(self, connection: Connection, stream: Stream) -> Resident:
        """The stream as it stood at `seq`, from the newest checkpoint that had seen no more."""
        weights = weights_of(self.loaded)
        found = newest_before(connection, stream.id, weights, _LAST_DS)
        while found is not None and found.seq > self.seq:
            found = newest_before(connection, stream.id, weights, found.ds)
        bound = self._bound(stream)
        if found is None and bound is not None and stream.late_seq == 0:  # by ds, as they arrived
            first = max(self.seq - bound, 0)
            rows = arrived_after(connection, stream.id, first, self.seq - first)
        elif found is None:
            rows = rows_until_seq(connection, stream.id, self.seq)
        else:
            after = rows_after(connection, {stream.id: found.ds})[stream.id]
            rows = _until(after, self.seq)
        self._marks = [] if found is None else [found]
        early = len(rows) - stream.rewind - 1
        if stream.rewind and early > 0:  # what comes late lies after these
            self._come_to(stream, found, _part(rows, slice(0, early)))
            return self._come_to(stream, self._marks[-1], _part(rows, slice(early, None)))
        return self._come_to(stream, found, rows)

    def _bound(self, stream: Stream) -> int | None:
        """Steps that a state is made of where no checkpoint is early enough; None for all."""
        memory = self.loaded.manifest.memory
        steps = None if memory is None or stream.exact else memory.steps_to(_TOLERANCE)
        return None if steps is None else max(steps, self.loaded.spec.input_size)

    def _come_to(self, stream: Stream, mark: Checkpoint | None, rows: Rows) -> Resident:
        """Stand where `rows` lead to from a mark, or from the beginning; and leave a mark there."""
        bound = self._bound(stream)
        options, head, state = from_rows(self.loaded, stream, rows, mark, bound=bound)
        arena = Arena(self.loaded.forecaster, 1)
        row = arena.take()
        arena.scatter([row], state)
        head = head._replace(tail_seq=self.seq, late_seq=0)  # what follows is counted from here
        self._at = Resident(stream.id, stream.key, options, self.loaded, arena, row, head, 0)
        self._mark(self._at)
        return self._at

    def _mark(self, at: Resident) -> None:
        if at.head.ds is None:
            return
        [state] = pack(at.arena.gather([at.row]))
        self._marks.append(checkpoint_of(at.id, self.loaded, at.options, at.head, state))
        if len(self._marks) > _MARKS:
            del self._marks[1]  # never the first, which all that comes late lies after

    def _follow(self, at: Resident, rows: Rows) -> list[Event]:
        """The events of observations that followed each other."""
        exog = [text or "{}" for text in rows.exog] if self.loaded.spec.exog_size else None
        arrival = Arrival(at.key[1], rows.ds.tolist(), rows.y.tolist(), exog)
        turn = Turn(arrival, wants=False, every=True)
        [course] = judged(self.loaded, {at: [turn]}, {}, at.head.received)
        at.arena.scatter([at.row], compute(self.loaded, [course]).states)
        at.head = course.judge.head
        self.seq = at.head.seq
        self._mark(at)
        return list(events_of(course))

    def _rewind(self, connection: Connection, stream: Stream, ds: int) -> Event:
        """The event of the next observation, which came late."""
        self._marks = [mark for mark in self._marks if mark.ds < ds]
        self.seq += 1
        if self._marks:
            mark = self._marks[-1]
            after = rows_after(connection, {stream.id: mark.ds})[stream.id]
            at = self._come_to(stream, mark, _until(after, self.seq))
        else:
            at = self._standing(connection, stream)
        with torch.inference_mode():
            spec = self.loaded.spec
            futr = torch.from_numpy(known_ahead(spec, [at.head.ds])) if spec.n_futr else None
            values = self.loaded.stepper.forecast(at.arena.gather([at.row]), futr).numpy()[0]
        outcome = Outcome(Kind.REWOUND, ds, self.seq, steps=at.head.steps)
        finite = bool(np.isfinite(values).all())
        newest = ds if at.head.ds is None else at.head.ds
        return Event(at.key, self.loaded, outcome, newest, values if finite else None)


def _in_order(rows: Rows) -> int:
    """How many of the first rows each lie after the one before."""
    back = np.flatnonzero(np.diff(rows.ds) < 0)
    return int(back[0]) + 1 if len(back) else len(rows)


def _until(rows: Rows, seq: int) -> Rows:
    """Those that had arrived."""
    places = np.flatnonzero(rows.seq <= seq)
    exog = [rows.exog[place] for place in places.tolist()]
    return Rows(rows.ds[places], rows.y[places], exog, rows.seq[places])


def _part(rows: Rows, which: slice) -> Rows:
    return Rows(rows.ds[which], rows.y[which], rows.exog[which], rows.seq[which])
