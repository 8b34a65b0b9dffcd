"""Opening, changing and closing streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import orjson

from models.timeline import Timeline
from service.problems import Fault, ProblemError, invalid
from service.slots import Loaded
from service.streams import refusals
from service.streams.arrival import Arrival
from service.streams.covariates import write_covariates
from service.streams.engine import Engine, now_ms
from service.streams.feeds import Feeds
from service.streams.jobs import Reply
from service.streams.keeper import Keeper
from service.streams.observation_request import StreamBody, check_stat, history_of
from service.streams.stamps import clock_of, written
from store.errors import StoreError
from store.log import rows_after, tails
from store.streams import (
    Key,
    NewStream,
    Stream,
    change_stream,
    find_streams,
    list_streams,
    open_streams,
)

T = TypeVar("T")


class Streams:
    """What operators and clients do to a stream as a whole."""

    def __init__(self, engine: Engine, keeper: Keeper, feeds: Feeds) -> None:
        self._engine = engine
        self._keeper = keeper
        self._feeds = feeds

    async def open(
        self, loaded: Loaded, unique_id: str, body: StreamBody, seconds: float
    ) -> tuple[Reply, bool]:
        """The stream, and whether it was made now; its history is in the log.

        Raises 409 for a stream that differs in what cannot be changed, and for a history that
        contradicts its log; 422 for a body that is not what the model reads; 503.
        """
        spec = loaded.spec
        check_stat(spec, body.stat_exog)
        history = Arrival(unique_id)
        if body.history is not None:
            history = history_of(spec, unique_id, body.history)
        key = loaded.task, unique_id
        new = NewStream(
            task=loaded.task,
            unique_id=unique_id,
            timeline=spec.timeline.model_dump_json(),
            rewind=body.rewind,
            max_gap=body.max_gap,
            ttl_hours=body.ttl_hours,
            exact=body.exact,
            stat=write_covariates(body.stat_exog),
            opened=now_ms(),
        )
        try:
            [(stream, made)] = await self._keeper.change(open_streams, [new])
            if not made:
                await self._reopen(stream, new, body)
                self._engine.forget(key)
        except StoreError as error:
            raise refusals.not_kept(error.reason) from None
        except ValueError:
            raise invalid([Fault(field="unique_id", reason="cannot be stored")]) from None
        [reply] = await self._engine.post(loaded.task, [history], wants=False, seconds=seconds)
        if isinstance(reply, ProblemError):
            raise reply
        return reply, made

    async def open_all(self, loaded: Loaded, unique_ids: Sequence[str]) -> None:
        """Streams of these names, as a PUT without a body opens them; those there are stay so.

        Raises 422 for a model with covariates that never change, 503.
        """
        if loaded.spec.stat_exog:
            reason = "the model has stat_exog: open its streams one by one by PUT"
            raise invalid([Fault(field="open", reason=reason)])
        timeline, opened = loaded.spec.timeline.model_dump_json(), now_ms()
        new = [
            NewStream(loaded.task, name, timeline, 0, None, None, False, None, opened)
            for name in unique_ids
        ]
        try:
            await self._keeper.change(open_streams, new)
        except StoreError as error:
            raise refusals.not_kept(error.reason) from None

    async def close(self, loaded: Loaded, unique_id: str) -> dict[str, Any]:
        """Close a stream; its last time stamp. Closing it again is no fault. Raises 404, 503."""
        key = loaded.task, unique_id
        stream = await self._found(key)
        if stream.closed is None:
            try:
                await self._keeper.change(
                    change_stream,
                    stream.id,
                    rewind=stream.rewind,
                    max_gap=stream.max_gap,
                    ttl_hours=stream.ttl_hours,
                    exact=stream.exact,
                    closed=now_ms(),
                )
            except StoreError as error:
                raise refusals.not_kept(error.reason) from None
            self._engine.forget(key)
            self._feeds.close(stream.id)
        tail = (await self._read(tails, [stream.id]))[stream.id]
        last = written(loaded.spec.timeline, tail.ds)
        return {"model": loaded.task, "unique_id": unique_id, "state": "closed", "last_ds": last}

    async def snapshot(self, loaded: Loaded, unique_id: str) -> dict[str, Any]:
        """A stream's options and log, as a PUT opens the same stream elsewhere. Raises 404, 503."""
        stream = await self._found((loaded.task, unique_id))
        rows = (await self._read(rows_after, {stream.id: None}))[stream.id]
        body: dict[str, Any] = {
            "rewind": stream.rewind,
            "max_gap": stream.max_gap,
            "ttl_hours": stream.ttl_hours,
            "exact": stream.exact,
            "stat_exog": {} if stream.stat is None else orjson.loads(stream.stat),
        }
        if not len(rows.ds):
            return body
        timeline = Timeline.model_validate_json(stream.timeline)
        y = [None if np.isnan(value) else value for value in rows.y.tolist()]
        history: dict[str, Any] = {"ds": timeline.format(clock_of(timeline, rows.ds)), "y": y}
        known = [{} if text is None else orjson.loads(text) for text in rows.exog]
        names = sorted(set().union(*known))
        history["exog"] = {name: [each.get(name) for each in known] for name in names}
        return body | {"history": history}

    async def names(self, task: str, after: str | None, limit: int) -> list[dict[str, Any]]:
        """A page of a task's streams, by name. Raises 503."""
        found = await self._read(list_streams, task, after=after, limit=limit)
        return [{"unique_id": s.unique_id, "closed": s.closed is not None} for s in found]

    async def _reopen(self, stream: Stream, new: NewStream, body: StreamBody) -> None:
        """Change what was given of a stream that is there, and open it if it is not."""
        if stream.timeline != new.timeline:
            raise refusals.incompatible()
        if "stat_exog" in body.model_fields_set and stream.stat != new.stat:
            raise refusals.other_stat()
        given = body.model_fields_set
        await self._keeper.change(
            change_stream,
            stream.id,
            rewind=new.rewind if "rewind" in given else stream.rewind,
            max_gap=new.max_gap if "max_gap" in given else stream.max_gap,
            ttl_hours=new.ttl_hours if "ttl_hours" in given else stream.ttl_hours,
            exact=new.exact if "exact" in given else stream.exact,
            closed=None,
            opened=new.opened,
        )

    async def _found(self, key: Key) -> Stream:
        stream = (await self._read(find_streams, [key])).get(key)
        if stream is None:
            raise refusals.unknown_stream(key[0])
        return stream

    async def _read(self, work: Callable[..., T], *args: object, **named: object) -> T:
        try:
            return await self._keeper.read(work, *args, **named)
        except StoreError as error:
            raise refusals.not_kept(error.reason) from None
