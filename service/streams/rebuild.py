"""States from the store: the newest checkpoint of the version's own, and the log after it.

A stream that only other versions have checkpoints of is moved: this version's memory is replayed
(`models.manifest.Memory`), or everything where the stream asks for `exact`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.context import put_clock
from models.replay import advanced
from models.spec import Spec
from models.state import State
from service.slots import Loaded
from service.streams.checkpoint import checkpoint_of, pack, unpack, weights_of
from service.streams.covariates import read_covariates, read_stat
from service.streams.head import Head, Options, options_of, young
from service.streams.stamps import clock_of
from store.checkpoints import Checkpoint, checkpointed, newest_checkpoints, save_checkpoints
from store.database import Database
from store.log import Rows, Tail, last_rows, rows_after, tails
from store.streams import Key, Stream, find_streams

_MOVE_TOLERANCE = 1e-3
"""How near, in scales of the window, a moved stream's forecast is to one from the whole log."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A stream as the store has it, and its state (one row). saved: as in `Resident`."""

    stream: Stream
    options: Options
    head: Head
    state: State
    saved: int


@dataclass(frozen=True, slots=True)
class Unloadable:
    """A stream that cannot be brought to memory: closed, or of another timeline than the version.

    ds: of its newest observation.
    """

    stream: Stream
    ds: int | None
    closed: bool


def rebuild(
    database: Database, loaded: Loaded, keys: Sequence[Key], *, keep: bool = False
) -> dict[Key, Rebuilt | Unloadable]:
    """The streams of `keys` that exist. Raises StoreError.

    keep: save a checkpoint of every stream that had a step to go, not only of those that another
    rebuild would begin elsewhere than this one did.
    """
    spec = loaded.spec
    timeline = spec.timeline.model_dump_json()
    weights = weights_of(loaded)
    memory = loaded.manifest.memory
    bound = None if memory is None else memory.steps_to(_MOVE_TOLERANCE)
    with database.reading() as connection:
        found = find_streams(connection, keys)
        ids = [stream.id for stream in found.values()]
        ends = tails(connection, ids)
        usable = [s for s in found.values() if s.closed is None and s.timeline == timeline]
        checkpoints = newest_checkpoints(connection, [s.id for s in usable], weights)
        moved = checkpointed(connection, [s.id for s in usable if s.id not in checkpoints])
        bounded = {s.id for s in usable if s.id in moved and not s.exact and bound is not None}
        after = {
            s.id: checkpoints[s.id].ds if s.id in checkpoints else None
            for s in usable
            if s.id not in bounded
        }
        # no more than is replayed, and one before it, which tells whether anything is left out
        rows = last_rows(connection, bounded, (bound or 0) + 1) | rows_after(connection, after)
    ways = [
        _way(
            spec,
            stream,
            ends[stream.id],
            checkpoints.get(stream.id),
            rows[stream.id],
            bound=bound if stream.id in bounded else None,
        )
        for stream in usable
    ]
    result: dict[Key, Rebuilt | Unloadable] = {
        (stream.task, stream.unique_id): Unloadable(
            stream, ends[stream.id].ds, stream.closed is not None
        )
        for stream in found.values()
    }
    if not ways:
        return result
    states = _replayed(loaded, ways)
    kept = [
        i
        for i, way in enumerate(ways)
        if (keep and len(way.y)) or (way.checkpoint is None and not way.head.exact)
    ]
    if kept:  # so that whoever rebuilds it next begins where this one did
        packed = pack(states.take(torch.tensor(kept)))
        save_checkpoints(
            database,
            [
                checkpoint_of(ways[i].stream.id, loaded, ways[i].options, ways[i].head, state)
                for i, state in zip(kept, packed, strict=True)
            ],
            keep={},
        )
    for i, way in enumerate(ways):
        saved = 0 if way.checkpoint is None else way.checkpoint.seq
        result[way.stream.task, way.stream.unique_id] = Rebuilt(
            way.stream,
            way.options,
            way.head,
            states.take(slice(i, i + 1)),
            way.head.seq if i in kept else saved,
        )
    return result


def from_rows(
    loaded: Loaded,
    stream: Stream,
    rows: Rows,
    checkpoint: Checkpoint | None = None,
    *,
    bound: int | None = None,
) -> tuple[Options, Head, State]:
    """A stream as it stood when its log was `rows`, or what a checkpoint has seen and then `rows`.

    bound: the newest steps that are replayed where there is no checkpoint, None for all. The head's
    y and exog mean nothing where a checkpoint stands alone.
    """
    ds = None if checkpoint is None else checkpoint.ds
    tail = Tail(stream.id, ds, 0, 0, None, None, None, None)
    if len(rows.ds):
        newest = int(rows.seq.max())
        last = int(rows.seq[-1])
        y = None if np.isnan(rows.y[-1]) else float(rows.y[-1])
        late = newest if newest > last else 0
        tail = Tail(stream.id, int(rows.ds[-1]), last, late, y, rows.exog[-1], stream.opened, None)
    way = _way(loaded.spec, stream, tail, checkpoint, rows, bound=bound)
    return way.options, way.head, _replayed(loaded, [way])


@dataclass(frozen=True, slots=True)
class _Way:
    """The steps that a stream's state still has to go.

    y: (T,) their values; first: how many steps after `base` they begin; observed: the places in y
    of what the log has; exog: the covariates of those.
    """

    stream: Stream
    options: Options
    head: Head
    checkpoint: Checkpoint | None
    base: int
    first: int
    y: NDArray[np.float64]
    observed: NDArray[np.int64]
    exog: Sequence[str | None]


def _way(
    spec: Spec,
    stream: Stream,
    tail: Tail,
    checkpoint: Checkpoint | None,
    rows: Rows,
    *,
    bound: int | None,
) -> _Way:
    timeline, options = spec.timeline, options_of(stream, spec.input_size)
    if tail.ds is None:
        nothing = np.empty(0), np.empty(0, np.int64), ()
        return _Way(stream, options, young(stream.opened), None, 0, 0, *nothing)
    base = int(rows.ds[0]) if checkpoint is None else checkpoint.start
    done = 0 if checkpoint is None else checkpoint.steps
    places, _ = timeline.steps(clock_of(timeline, [base]), clock_of(timeline, rows.ds))
    last = int(places[-1]) if len(places) else done - 1
    missing = np.diff(places, prepend=done - 1) - 1
    breaks = np.flatnonzero(missing > options.max_gap)
    begin, exact = 0, checkpoint is None or checkpoint.exact
    if breaks.size:
        begin, exact, checkpoint = int(breaks[-1]), True, None
    if checkpoint is None and bound is not None:
        newest = int(np.searchsorted(places, last - bound + 1))
        begin, exact = max(begin, newest), newest <= begin
    first = int(places[begin]) if checkpoint is None else done
    y = np.full(last - first + 1, np.nan)
    observed = places[begin:] - first
    y[observed] = rows.y[begin:]
    head = Head(
        ds=tail.ds,
        y=np.nan if tail.y is None else tail.y,
        exog=tail.exog,
        tail_seq=tail.seq,
        late_seq=tail.late_seq,
        start=int(rows.ds[begin]) if checkpoint is None else base,
        steps=last + 1 - (first if checkpoint is None else 0),
        exact=exact,
        received=max(tail.received or 0, stream.opened),
    )
    return _Way(stream, options, head, checkpoint, base, first, y, observed, rows.exog[begin:])


def _replayed(loaded: Loaded, ways: Sequence[_Way]) -> State:
    forecaster, spec = loaded.forecaster, loaded.spec
    stat = torch.from_numpy(read_stat([way.stream.stat for way in ways], spec))
    exogs = [_exog(loaded, way) for way in ways]
    with torch.inference_mode():
        states = forecaster.initial_state(len(ways), stat)
        begun = {i: way.checkpoint for i, way in enumerate(ways) if way.checkpoint is not None}
        if begun:
            packed = [checkpoint.state for checkpoint in begun.values()]
            kept = unpack(packed, spec, forecaster.recurrent.slots)
            index = torch.tensor(list(begun))
            states.ring[index], states.memory[index] = kept.ring, kept.memory
            states.stat[index] = kept.stat
        return advanced(forecaster, states, [way.y for way in ways], exogs)


def _exog(loaded: Loaded, way: _Way) -> NDArray[np.float32]:
    """(T, X) calendar and covariates of a way's steps."""
    spec = loaded.spec
    exog = np.full((len(way.y), spec.exog_size), np.nan, np.float32)
    if spec.reads_clock and len(way.y):
        base = clock_of(spec.timeline, [way.base])
        clock = spec.timeline.at(base, np.arange(way.first, way.first + len(way.y)))
        put_clock(spec, clock, exog)
    if names := spec.hist_exog + spec.futr_exog:
        first = 2 * len(spec.calendar)
        exog[way.observed, first : first + len(names)] = read_covariates(way.exog, names)
    return exog
