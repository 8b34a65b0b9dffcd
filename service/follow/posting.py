"""Rows to a model's streams: each is sent until the service has judged it, and none is passed by.

A request that was lost may have had its effect. It is sent again as it was, and what the log has
already is answered as a duplicate. The rows of a stream are never sent before those ahead of them
are judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from service.follow.api import COME_AGAIN, Api, ServiceError, problem_of, reason_of
from service.follow.model import Model, model_of
from service.follow.rows import Row

_NDJSON = {"content-type": "application/x-ndjson"}
_UNKNOWN = "urn:gatecast:problem:unknown-stream"
_TOO_LARGE = 413

Result = dict[str, Any]
"""What the service answered about a row: `status` 200, or a problem."""


class Poster:
    """Sends rows. ask: the query of every request; rewind: of the streams that it opens."""

    def __init__(self, api: Api, task: str, *, ask: Mapping[str, str], rewind: int) -> None:
        self._api = api
        self._path = f"/v1/models/{quote(task, safe='')}"
        self._ask = {"forecast": "true", **ask}
        self._rewind = rewind

    def model(self) -> Model:
        """What the task is. Raises ServiceError where the service has no such task."""
        again = self._api.again()
        while True:
            answer = self._api.ask("GET", self._path)
            if answer.status_code != 200:
                raise ServiceError(reason_of(problem_of(answer)))
            try:
                champion = answer.json()["champion"]
                if champion is not None:
                    again.over()
                    return model_of(champion)
            except (ValueError, LookupError, TypeError):
                raise ServiceError("what answers is no Gatecast service") from None
            again.wait("the model has no version yet")

    def post(self, rows: Sequence[Row]) -> list[Result]:
        """What became of each row, in order. Raises StoppedError, ServiceError."""
        found: dict[int, Result] = {}
        left = list(range(len(rows)))
        tried: set[str] = set()
        again = self._api.again()
        while True:
            answers = dict(zip(left, self._send([rows[place] for place in left]), strict=True))
            unknown = {rows[place].unique_id for place in left if _is_unknown(answers[place])}
            refusals = {name: self._open(name) for name in sorted(unknown - tried)}
            tried |= unknown
            left = []
            wait: Result | None = None
            for place, answer in answers.items():
                name = rows[place].unique_id
                if _is_unknown(answer) and name in refusals:
                    refusal = refusals[name]
                    if refusal is None:
                        left.append(place)
                        continue
                    answer = {"unique_id": name} | refusal  # noqa: PLW2901
                elif answer["status"] in COME_AGAIN:
                    wait = answer
                    left.append(place)
                    continue
                found[place] = answer
            if not left:
                again.over()
                return [found[place] for place in range(len(rows))]
            if wait is not None:
                again.wait(reason_of(wait), status=wait["status"])

    def _send(self, rows: Sequence[Row]) -> list[Result]:
        """One request, or several where the service finds one too large."""
        answer = self._api.ask(
            "POST",
            f"{self._path}/observations",
            content=b"\n".join(row.body for row in rows),
            headers=_NDJSON,
            params=self._ask,
        )
        if answer.status_code == _TOO_LARGE:
            if len(rows) == 1:
                return [problem_of(answer)]
            half = len(rows) // 2
            return self._send(rows[:half]) + self._send(rows[half:])
        if answer.status_code != 200:
            raise ServiceError(reason_of(problem_of(answer)))
        try:
            results = [orjson.loads(line) for line in answer.content.splitlines()]
            if len(results) != len(rows) or not all(
                type(each["status"]) is int for each in results
            ):
                raise ValueError
        except (ValueError, LookupError, TypeError):
            raise ServiceError("what answers is no Gatecast service") from None
        return results

    def _open(self, unique_id: str) -> Result | None:
        """Open a stream; the problem if that is refused."""
        answer = self._api.ask(
            "PUT",
            f"{self._path}/streams/{quote(unique_id, safe='')}",
            json={"rewind": self._rewind} if self._rewind else {},  # else others' choice stays
        )
        if answer.status_code in {200, 201}:
            return None
        problem = problem_of(answer)
        reason = f"the stream cannot be opened: {reason_of(problem)}"
        return problem | {"detail": reason, "errors": []}


def _is_unknown(answer: Result) -> bool:
    return bool(answer.get("type") == _UNKNOWN)
