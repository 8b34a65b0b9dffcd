"""One socket: what its client says is done in turn, and events are sent as credit allows."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from service.parts import Parts
from service.problems import ProblemError, content_of, problem
from service.slots import Loaded
from service.streams import bulk_answers, refusals
from service.streams.allowance import Allowance
from service.streams.answers import dumped
from service.streams.arrival import Arrival
from service.streams.asking import Asking
from service.streams.bulk_posting import Replies, post
from service.streams.catching_up import CatchingUp, Skipped
from service.streams.feeds import Event
from service.streams.places import place_of
from service.streams.socket_messages import (
    MOST_SUBSCRIPTIONS,
    Credit,
    Observe,
    Subscribe,
    Unsubscribe,
    read_message,
)
from service.streams.subscriptions import Subscription, Subscriptions

FIRST_CREDIT = 16
MOST_CREDIT = 1_000_000
_MESSAGES = 200.0
_OBSERVATIONS = 20_000.0
"""In a second, of one socket; what is more waits, and the client with it."""
_MOST_FAULTS = 8
"""Messages in a row that say nothing; then the socket is closed."""
_MALFORMED = (400, 413, 422)
_RESULT_BYTES = 150
_AT_ONCE = 16
"""Events of one stream that are sent before another has its turn."""

UNSUPPORTED, POLICY, FAILED, RESTART = 1003, 1008, 1011, 1012
"""Codes to close with: RFC 6455, 7.4.1, and its registry for the last."""

log = structlog.get_logger()


class Session:
    """Serves one socket that was accepted, until either side closes it."""

    def __init__(self, parts: Parts, loaded: Loaded, socket: WebSocket) -> None:
        clock = asyncio.get_running_loop().time
        self._parts = parts
        self._task = loaded.task
        self._socket = socket
        self._messages = Allowance(_MESSAGES, clock)
        self._observations = Allowance(_OBSERVATIONS, clock)
        self._catching_up = CatchingUp(parts.slots, parts.keeper)
        self._at_work = asyncio.Lock()
        self._faults = 0

    async def run(self) -> None:
        """Serve it."""
        feeds = self._parts.feeds
        with feeds.reading() as reader:
            self._changed = reader.changed
            self._subscriptions = Subscriptions(feeds, reader, FIRST_CREDIT)
            tasks = [
                asyncio.create_task(work) for work in (self._hear(), self._tell(), self._stop())
            ]
            code, reason = FAILED, "the service failed"
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                code, reason = next(iter(done)).result()
            except WebSocketDisconnect:
                return
            except Exception:
                log.exception("socket failed")
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self._subscriptions.clear()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it may be gone
            await self._socket.close(code, reason)

    async def _stop(self) -> tuple[int, str]:
        """When the service ends, what is at work is finished, and nothing more is begun."""
        await self._parts.feeds.stopping.wait()
        await self._at_work.acquire()
        return RESTART, "the service is stopping"

    async def _hear(self) -> tuple[int, str]:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            if (text := message.get("text")) is None:
                return UNSUPPORTED, "messages are text"
            async with self._at_work:
                try:
                    await self._do(text.encode())
                    self._faults = 0
                except ProblemError as error:
                    self._faults += error.problem.status in _MALFORMED
                    await self._say({"error": content_of(error.problem)})
            if self._faults >= _MOST_FAULTS:
                return POLICY, f"{_MOST_FAULTS} messages in a row were malformed"
            await self._messages.wait(1)

    async def _do(self, text: bytes) -> None:
        """What a message asks for. Raises the problem of one that asks for nothing."""
        spec, most = self._champion().spec, self._parts.settings.max_observations
        said = await self._parts.desk.do(len(text), read_message, text, spec, most)
        if isinstance(said, Observe):
            await self._observe(said)
        elif isinstance(said, Credit):
            self._subscriptions.allow(said.credit, MOST_CREDIT)
        elif isinstance(said, Unsubscribe):
            gone = [name for name in said.unsubscribe if self._subscriptions.remove(name)]
            await self._say({"unsubscribed": gone})
        else:
            await self._subscribe(said)

    def _champion(self) -> Loaded:
        slot = self._parts.slots.get(self._task)
        if slot is None or slot.champion is None:
            raise refusals.no_champion()
        return slot.champion

    async def _observe(self, said: Observe) -> None:
        replies = await self._posted(said.bulk.arrivals)
        asked = replace(Asking(self._parts.writer, "").of(self._champion()), wants=False)
        size = len(said.bulk) * _RESULT_BYTES
        results = await self._parts.desk.do(size, bulk_answers.results, said.bulk, replies, asked)
        await self._say({"ack": said.id, "results": results})
        await self._observations.wait(len(said.bulk))

    async def _posted(self, arrivals: Sequence[Arrival]) -> Replies:
        seconds = self._parts.settings.request_seconds
        try:
            return await post(
                self._parts.engine, self._task, arrivals, wants=False, seconds=seconds
            )
        except ProblemError as error:
            return [error] * len(arrivals)

    async def _subscribe(self, said: Subscribe) -> None:
        asking = Asking(self._parts.writer, said.query)
        asking.of(self._champion())
        wanted = {each.unique_id: each.after for each in said.subscribe}
        new = sum(name not in self._subscriptions for name in wanted)
        if len(self._subscriptions) + new > MOST_SUBSCRIPTIONS:
            reason = f"a socket listens to {MOST_SUBSCRIPTIONS} streams at most"
            raise problem(429, "too-many-subscriptions", reason)
        replies = await self._posted([Arrival(name) for name in wanted])
        begun: list[dict[str, Any]] = []
        for (name, after), reply in zip(wanted.items(), replies, strict=True):
            key = self._task, name
            try:
                place = await place_of(self._parts, key, reply, after, field="after")
            except ProblemError as error:
                await self._say({"error": content_of(error.problem), "unique_id": name})
                continue
            self._subscriptions.add(key, place, asking, every=after is not None)
            begun.append({"unique_id": name, "position": place.seen, "newest": place.newest})
        if begun:
            await self._say({"subscribed": begun})

    async def _tell(self) -> tuple[int, str]:
        while True:
            await self._changed.wait()
            self._changed.clear()
            for subscription in self._subscriptions.ready():
                try:
                    await self._tell_of(subscription)
                except ProblemError as error:
                    self._subscriptions.remove(subscription.unique_id)
                    said = {"error": content_of(error.problem), "unique_id": subscription.unique_id}
                    await self._say(said)

    async def _tell_of(self, subscription: Subscription) -> None:
        """Send the next events of a stream. Raises the problem for which there are none more."""
        listener, subscriptions = subscription.listener, self._subscriptions
        most = max(1, min(subscriptions.credit, _AT_ONCE))
        taken = await self._catching_up.take(listener, most)
        if isinstance(taken, Skipped):
            if subscription.every:
                name = subscription.unique_id
                await self._say({"skipped": {"unique_id": name, "count": taken.count}})
            else:
                subscription.dropped += taken.count
            listener.wake()
            return
        for event in taken:
            if not subscriptions.has(subscription):
                return
            subscriptions.credit -= 1
            await self._send(event, subscription)
        if taken:
            listener.wake()  # after the others
        elif listener.end is not None:
            subscriptions.remove(subscription.unique_id)
            name = subscription.unique_id
            await self._say({"closed": {"unique_id": name, "reason": listener.end}})

    async def _send(self, event: Event, subscription: Subscription) -> None:
        text = subscription.asking.text(event).decode()
        dropped = subscription.taken_dropped()
        more = f',"dropped":{dropped}' if dropped else ""
        await self._socket.send_text(f'{{"event":{text}{more}}}')

    async def _say(self, said: dict[str, Any]) -> None:
        await self._socket.send_text(dumped(said).decode())
