"""Clients who ask without end, come again for nothing, and know what each version must answer."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import httpx
import numpy as np
import torch
from numpy.typing import NDArray

from models.context import Context
from models.forecaster import Forecaster
from models.predict import point, predict, replayed
from models.spec import Spec
from models.transform import to_network
from tests.faults.plans import Observation, plan
from tests.faults.serving import TASK

Numbers = NDArray[np.float64]
Versions = Mapping[str, Forecaster]

_CLOSE = 1e-5
_BEGIN = np.datetime64("2026-01-01", "us")
_LENGTHS = (5, 40, 60, 90)
_SLOWEST = 30.0


class Watchful(threading.Thread):
    """Asks until told to stop. Any other answer than the right one ends it.

    latencies: (when it was asked, seconds until the answer), of the monotonic clock. seen: answers
    by version. wrong: what ended it.
    """

    def __init__(self, name: str, url: str, versions: Versions, pause: float) -> None:
        super().__init__(name=name, daemon=True)
        self.latencies: list[tuple[float, float]] = []
        self.seen: Counter[str] = Counter()
        self.newest = ""
        self.wrong: BaseException | None = None
        self._url = url
        self._versions = versions
        self._pause = pause
        self._stopping = threading.Event()

    def run(self) -> None:
        """Ask."""
        try:
            with httpx.Client(base_url=self._url, timeout=_SLOWEST) as client:
                self._begin(client)
                while not self._stopping.wait(self._pause):
                    self._turn(client)
        except BaseException as error:  # noqa: BLE001 - whoever ends it raises
            self.wrong = error

    def finish(self) -> None:
        """Stop. Raises what was wrong."""
        self._stopping.set()
        self.join(2 * _SLOWEST)
        assert not self.is_alive(), f"{self.name} is never answered"
        if self.wrong is not None:
            raise self.wrong

    def _begin(self, client: httpx.Client) -> None:
        """What comes before the first turn."""

    def _turn(self, client: httpx.Client) -> None:
        raise NotImplementedError

    def _ask(
        self, client: httpx.Client, method: str, path: str, body: object = None
    ) -> httpx.Response:
        began = time.monotonic()
        answer = client.request(method, path, json=body)
        self.latencies.append((began, time.monotonic() - began))
        assert answer.status_code in {200, 201}, f"{path}: {answer.status_code} {answer.text[:500]}"
        return answer

    def _note(self, version: str) -> None:
        self.seen[version] += 1
        self.newest = version


class Asker(Watchful):
    """Asks for batch forecasts of the same few series, whose every version's numbers it knows."""

    def __init__(self, number: int, url: str, versions: Versions, pause: float = 0.0) -> None:
        super().__init__(f"asker-{number}", url, versions, pause)
        rng = np.random.default_rng(number)
        ys = [np.round(rng.normal(100, 10, length), 3) for length in _LENGTHS]
        self._body = {
            "model": TASK,
            "quantiles": [0.5],
            "series": [
                {"unique_id": str(i), "start": f"{_BEGIN}Z", "y": y.tolist()}
                for i, y in enumerate(ys)
            ],
        }
        self._right = {
            version: forecasts(forecaster, [(_BEGIN, y) for y in ys])
            for version, forecaster in versions.items()
        }
        for one, other in itertools.combinations(self._right.values(), 2):
            assert np.abs(one - other).max() > 1e-2, "these versions cannot be told apart"

    def _turn(self, client: httpx.Client) -> None:
        answer = self._ask(client, "POST", "/v1/forecast", self._body).json()
        given = [each["mean"] for each in answer["forecasts"]]
        np.testing.assert_allclose(given, self._right[answer["version"]], rtol=_CLOSE)
        self._note(answer["version"])


class Feeder(Watchful):
    """Feeds a stream of its own and holds what is answered against cold batches.

    apart: how far a bounded replay's forecast was from that of the whole log, in scales of the
    window, one each time that it was looked at. moves: streams seen on another version than before.
    """

    def __init__(
        self,
        number: int,
        url: str,
        versions: Versions,
        *,
        history: int = 700,
        exact: bool = False,
        pause: float = 0.0,
    ) -> None:
        super().__init__(f"feeder-{number}", url, versions, pause)
        self.apart: list[float] = []
        self.moves = 0
        self._exact = exact
        self._plan = plan(f"feeder {number}", late=False)
        self._history = history
        self._sent: list[Observation] = []
        self._path = f"/v1/models/{TASK}/streams/{self.name}"

    def _begin(self, client: httpx.Client) -> None:
        past = list(itertools.islice(self._plan, self._history))
        self._sent += past
        body = {"ds": [each.ds for each in past], "y": [each.y for each in past]}
        self._ask(client, "PUT", self._path, {"history": body, "exact": self._exact})

    def _turn(self, client: httpx.Client) -> None:
        new = next(self._plan)
        self._sent.append(new)
        path = f"{self._path}/observations?forecast=true&quantiles=0.5"
        answer = self._ask(client, "POST", path, new.body()).json()
        assert answer["position"] == len(self._sent)
        moved = answer["version"] != self.newest
        self._note(answer["version"])
        if moved or len(self._sent) % 16 == 0:
            self._look(client, answer["version"], answer["forecast"]["mean"])
            self.moves += moved

    def _look(self, client: httpx.Client, version: str, given: Sequence[float]) -> None:
        """Hold a forecast against a cold batch over what was replayed, if no swap lies between."""
        status = self._ask(client, "GET", self._path).json()
        if status["version"] != version:
            return
        forecaster = self._versions[version]
        whole = series(self._sent)
        since = datetime.fromisoformat(status["since"]).replace(tzinfo=None)
        first = int((np.datetime64(since, "us") - whole[0]) / np.timedelta64(1, "h"))
        part = np.datetime64(since, "us"), whole[1][first:]
        assert status["steps"] == len(part[1])
        assert (status["replayed"] == "exact") == (first == 0), status
        assert first == 0 or not self._exact, status
        cold = forecasts(forecaster, [part])[0]
        np.testing.assert_allclose(given, cold, rtol=_CLOSE)
        if first:
            self.apart.append(distance(forecaster, part, whole))


def series(sent: Sequence[Observation]) -> tuple[np.datetime64, Numbers]:
    """The first stamp, and (T,) the values of every step since, NaN where there is none."""
    steps = np.array([each.step for each in sent])
    y = np.full(steps[-1] - steps[0] + 1, np.nan)
    y[steps - steps[0]] = [np.nan if each.y is None else each.y for each in sent]
    return _BEGIN + steps[0] * np.timedelta64(1, "h"), y


def forecasts(forecaster: Forecaster, given: Sequence[tuple[np.datetime64, Numbers]]) -> Numbers:
    """(n, horizon) what a cold batch forecasts, in data units."""
    spec = forecaster.spec
    return point(spec, predict(forecaster, [_context(spec, *each) for each in given]))


def distance(
    forecaster: Forecaster,
    part: tuple[np.datetime64, Numbers],
    whole: tuple[np.datetime64, Numbers],
) -> float:
    """How far two forecasts are apart at most, in scales of the window (as memory is measured)."""
    spec = forecaster.spec
    contexts = [_context(spec, *part), _context(spec, *whole)]
    short, long = to_network(torch.from_numpy(predict(forecaster, contexts)), spec).numpy()
    scale = forecaster.encoder.scaled(replayed(forecaster, contexts[1:]).ring).scale
    return float(np.abs(short - long).max() / scale[0, 0])


def _context(spec: Spec, start: np.datetime64, y: Numbers) -> Context:
    clock = spec.timeline.at(np.array([start]), np.arange(len(y)))
    exog = spec.timeline.calendar(clock, spec.calendar)
    return Context(y, exog, np.zeros((spec.horizon, 0), np.float32), np.zeros(0, np.float32))


@contextmanager
def watching(clients: Sequence[Watchful]) -> Iterator[None]:
    """These clients at work; at the end of the block they stop. Raises what was wrong."""
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client._stopping.set()
    for client in clients:
        client.finish()
