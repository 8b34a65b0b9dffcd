"""What the loop asks of a service, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

_AGAIN = (429, 503)
_NDJSON = {"content-type": "application/x-ndjson"}
_SETTLED_SECONDS = 3.0  # scores are written every two


class LoopError(Exception):
    """The loop stands still; the text says where, and what to look at."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A forecast of a shop's next day: the version that made it, and its median."""

    version: str
    median: float


@dataclass(frozen=True, slots=True)
class Live:
    """Live scores of a version at a lead: how many, and the sum of their scaled errors."""

    scored: int
    total: float

    def since(self, before: Live | None) -> float:
        """The mean scaled error of what came after `before`; NaN where nothing did."""
        scored = self.scored - (before.scored if before else 0)
        total = self.total - (before.total if before else 0.0)
        return total / scored if scored else float("nan")


Scores = Mapping[tuple[str, int], Live]
"""By version and lead."""


class Service:
    """One task of a service. http: a client whose base URL is the service's."""

    def __init__(self, http: httpx.Client, task: str) -> None:
        self._http = http
        self._path = f"/v1/models/{task}"

    def observe(self, rows: Iterable[tuple[str, str, float]]) -> dict[str, Ahead]:
        """Send rows (unique_id, ds, y); by stream, the forecast of what comes next.

        Sent again where the service asks for it. Raises LoopError for one that was not taken.
        """
        names = ("unique_id", "ds", "y")
        body = b"".join(
            orjson.dumps(dict(zip(names, row, strict=True)), option=orjson.OPT_APPEND_NEWLINE)
            for row in rows
        )
        asked = {"open": "true", "forecast": "true", "h": "1"}
        path = f"{self._path}/observations"
        made: dict[str, Ahead] = {}
        for line in self._ask("POST", path, asked, body).content.splitlines():
            said = orjson.loads(line)
            if said.get("status") != httpx.codes.OK:
                raise LoopError(f"an observation was not taken: {said}")
            if said.get("forecast"):
                made[said["unique_id"]] = Ahead(said["version"], said["forecast"]["mean"][0])
        return made

    def version(self) -> str | None:
        """The version that serves."""
        champion = self._ask("GET", self._path).json()["champion"]
        return None if champion is None else champion["version"]

    def drift(self) -> dict[str, Any] | None:
        """The test of the version that serves which has raised drift first, if one has."""
        serving = self.version()
        tests = self._ask("GET", f"{self._path}/scores").json()["drift"]
        raised = [each for each in tests if each["version"] == serving and each["raised_at"]]
        return min(raised, key=lambda each: each["raised_at"]) if raised else None

    def scores(self) -> Scores:
        """Live scores, when all that was observed is in them."""
        while True:
            before = self._totals()
            time.sleep(_SETTLED_SECONDS)
            if (now := self._totals()) == before:
                return now

    def run(self) -> dict[str, Any] | None:
        """The newest retraining, with its log, if there is one."""
        asked = {"model": self._path.rpartition("/")[2], "limit": "1"}
        runs = self._ask("GET", "/v1/runs", asked).json()["runs"]
        if not runs:
            return None
        whole: dict[str, Any] = self._ask("GET", f"/v1/runs/{runs[0]['id']}").json()
        return whole

    def _totals(self) -> Scores:
        return {
            (each["version"], each["lead"]): Live(
                each["scored"], each["scored"] * each["scaled_error"]
            )
            for each in self._ask("GET", f"{self._path}/scores").json()["totals"]
        }

    def _ask(
        self, method: str, path: str, asked: Mapping[str, str] | None = None, body: bytes = b""
    ) -> httpx.Response:
        end = time.monotonic() + 60.0
        while True:
            try:
                answer = self._http.request(
                    method, path, params=asked, content=body, headers=_NDJSON if body else None
                )
            except httpx.HTTPError as error:
                raise LoopError(f"{method} {path} was not answered: {error}") from None
            if answer.status_code not in _AGAIN or time.monotonic() > end:
                break
            time.sleep(0.2)
        if answer.is_error:
            raise LoopError(f"{method} {path} was answered {answer.status_code}: {answer.text}")
        return answer


def until(holds: Callable[[], Any], what: str, seconds: float, pause: float = 0.5) -> Any:
    """What `holds` returns as soon as it is true. Raises LoopError after so long."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > end:
            raise LoopError(f"after {seconds:g} s still waiting: {what}")
        time.sleep(pause)
    return found
