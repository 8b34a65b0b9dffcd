"""Clients that lose nothing: each sends the same again until it is acknowledged."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from tests.faults.plans import REWIND, Observation, plan
from tests.faults.serving import TASK
from tests.service.running import eventually

_PAUSE = 0.02  # seconds before the same is sent again
_COME_AGAIN = (429, 503)
_SLOWEST = 60.0  # seconds until an answer: far beyond the service's own deadline


@dataclass(slots=True)
class Series:
    """A stream as its only client knows it.

    acknowledged: in the order of their positions. forecasts: by position, what was answered.
    """

    name: str
    late: bool
    acknowledged: list[Observation] = field(default_factory=list)
    forecasts: dict[int, list[float]] = field(default_factory=dict)
    _plan: Iterator[Observation] = field(init=False)

    def __post_init__(self) -> None:
        self._plan = plan(self.name, late=self.late)

    @property
    def path(self) -> str:
        """Of the stream."""
        return f"/v1/models/{TASK}/streams/{self.name}"

    def next(self, count: int) -> list[Observation]:
        """The next observations of the plan."""
        return list(itertools.islice(self._plan, count))


@dataclass(frozen=True, slots=True)
class Lost:
    """A request to which no answer came. began, ended: seconds of the monotonic clock."""

    began: float
    ended: float


class WrongAnswerError(AssertionError):
    """An answer that a client that keeps to the rules must never have."""


class Client(threading.Thread):
    """Sends observations of its own streams until told to stop; then what is under way is ended.

    urls: services that it asks in turn, a request each. refusals: why it was to come again.
    slowest: seconds that it had to wait for any answer. wrong: what must not have happened.
    """

    def __init__(self, number: int, seed: int, urls: Sequence[str]) -> None:
        super().__init__(name=f"client-{number}", daemon=True)
        self.series = [Series(f"{seed}-{number}-{i}", late=i % 2 == 1) for i in range(4)]
        self.lost: list[Lost] = []
        self.refusals: list[str] = []
        self.slowest = 0.0
        self.wrong: BaseException | None = None
        self.requests = 0
        self._urls = itertools.cycle(urls)
        self._rng = random.Random(f"{seed} {number}")  # noqa: S311 - no secret
        self._stopping = threading.Event()
        self._http = httpx.Client(timeout=_SLOWEST)

    @property
    def acknowledged(self) -> int:
        """Observations that are."""
        return sum(len(one.acknowledged) for one in self.series)

    def run(self) -> None:
        """Send."""
        try:
            for one in self.series:
                self._ask("PUT", one.path, orjson.dumps({"rewind": REWIND * one.late}), (200, 201))
            while not self._stopping.is_set():
                self._send()
        except BaseException as error:  # noqa: BLE001 - whoever ends it raises
            self.wrong = error
        finally:
            self._http.close()

    def got_on(self) -> Callable[[], bool]:
        """Asks whether more has been acknowledged since now."""
        before = self.acknowledged
        return lambda: self.acknowledged > before or self.wrong is not None

    def told(self, count: int) -> Callable[[], bool]:
        """Asks whether it has been refused so often since now."""
        before = len(self.refusals)
        return lambda: len(self.refusals) >= before + count or self.wrong is not None

    def finish(self) -> None:
        """Stop, when what is under way is acknowledged. Raises what was wrong."""
        self._stopping.set()
        self.join(_SLOWEST)
        assert not self.is_alive(), "an observation is not acknowledged for ever"
        if self.wrong is not None:
            raise self.wrong

    def _send(self) -> None:
        kind = self._rng.random()
        if kind < 0.7:
            self._one(self._rng.choice(self.series))
        elif kind < 0.85:
            # now and then more than are computed between two batches
            count = 600 if self._rng.random() < 0.02 else self._rng.randint(2, 40)
            self._many(self._rng.choice(self.series), count)
        else:
            self._bulk()

    def _one(self, series: Series) -> None:
        [new] = series.next(1)
        path = f"{series.path}/observations?forecast=true&quantiles=0.5"
        answer, again = self._ask("POST", path, orjson.dumps(new.body()))
        self._acknowledge(series, new, answer, again=again)
        # Not of a duplicate: others of the stream may have come between, but here none can have.
        series.forecasts[answer["position"]] = answer["forecast"]["mean"]

    def _many(self, series: Series, count: int) -> None:
        new = series.next(count)
        body = orjson.dumps({"observations": [each.body() for each in new]})
        answer, again = self._ask("POST", f"{series.path}/observations", body)
        for each, result in zip(new, answer["results"], strict=True):
            self._acknowledge(series, each, result, again=again)

    def _bulk(self) -> None:
        lines: list[tuple[Series, Observation]] = []
        for series in self.series:
            lines += [(series, each) for each in series.next(self._rng.randint(1, 10))]
        bodies = [{"unique_id": series.name, **each.body()} for series, each in lines]
        body = b"".join(orjson.dumps(each) + b"\n" for each in bodies)
        given: dict[int, dict[str, Any]] = {}
        again = False
        while len(given) < len(lines):
            answers, twice = self._ask("POST", f"/v1/models/{TASK}/observations", body)
            again = again or twice
            self.refusals += [each["detail"] for each in answers if each["status"] in _COME_AGAIN]
            for place, result in enumerate(answers):
                if result["status"] in _COME_AGAIN:
                    continue
                first = given.setdefault(place, result)
                if first is not result and not (
                    result["duplicate"] and result["position"] == first["position"]
                ):
                    raise WrongAnswerError(f"{first}, and then {result}")
            again = again or len(given) < len(lines)
        for place, (series, each) in enumerate(lines):
            self._acknowledge(series, each, given[place], again=again)

    def _acknowledge(
        self, series: Series, new: Observation, result: dict[str, Any], *, again: bool
    ) -> None:
        position = len(series.acknowledged) + 1
        if result.get("status", 200) != 200 or result["position"] != position:
            raise WrongAnswerError(f"{series.name} at {position}: {result}")
        if result["duplicate"] and not again:
            raise WrongAnswerError(f"{series.name} has what was never sent: {result}")
        series.acknowledged.append(new)

    def _ask(
        self, method: str, path: str, body: bytes, right: Sequence[int] = (200,)
    ) -> tuple[Any, bool]:
        """The answer to a request that is sent until it has one, and whether it was sent again."""
        bulk = path.endswith(f"{TASK}/observations")
        headers = {"content-type": "application/x-ndjson" if bulk else "application/json"}
        for attempt in itertools.count():
            began = time.monotonic()
            self.requests += 1
            try:
                answer = self._http.request(
                    method, next(self._urls) + path, content=body, headers=headers
                )
            except (httpx.ConnectError, httpx.ConnectTimeout):
                answer = None
            except httpx.TransportError:
                self.lost.append(Lost(began, time.monotonic()))
                answer = None
            self.slowest = max(self.slowest, time.monotonic() - began)
            if answer is not None and answer.status_code not in _COME_AGAIN:
                if answer.status_code not in right:
                    raise WrongAnswerError(f"{answer.status_code} {answer.text[:500]}")
                lines = answer.content.splitlines()
                return [
                    orjson.loads(each) for each in lines
                ] if bulk else answer.json(), attempt > 0
            if answer is not None:
                if "retry-after" not in answer.headers:
                    raise WrongAnswerError(f"no Retry-After: {answer.text}")
                self.refusals.append(answer.json()["detail"])
            time.sleep(_PAUSE)
        raise AssertionError("unreachable")


@contextmanager
def sending(seed: int, count: int, urls: Sequence[str]) -> Iterator[list[Client]]:
    """So many clients at work; at the end of the block they finish. Raises what was wrong."""
    clients = [Client(number, seed, urls) for number in range(count)]
    for client in clients:
        client.start()
    yield clients
    for client in clients:
        client.finish()


def all_get_on(clients: Sequence[Client]) -> None:
    """Wait until each of them has something more acknowledged."""
    for got_on in [client.got_on() for client in clients]:
        eventually(got_on)
