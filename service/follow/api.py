"""A running service over HTTP: every request is repeated until the service has judged it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any, Self

import httpx

from service.follow.stop import Stop, StoppedError

COME_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
"""What a service, or a proxy before it, answers where the request may be sent again as it is."""

_FAILED = 500
_MOST_FAILURES = 5
"""Answers of 500 in a row, after which it is no passing fault."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 15.0
_LONGEST_ASKED = 300.0
_TOLD_AFTER = 1.0
_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 60.0


class ServiceError(Exception):
    """The service cannot be used as it was asked."""


class Again:
    """When to send the same again: after the pause that was asked for, or ever longer ones.

    note: told once when it takes longer than a second. Raises StoppedError from a wait.
    """

    def __init__(self, stop: Stop, note: Callable[[str], None]) -> None:
        self._stop = stop
        self._note = note
        self._pauses = pauses()
        self._waited = 0.0
        self._failures = 0
        self._told = False

    def wait(self, reason: str, *, status: int | None = None, asked: float | None = None) -> None:
        """Wait before the next try. status: of the answer, if there was one."""
        self._failures = self._failures + 1 if status == _FAILED else 0
        if self._failures == _MOST_FAILURES:
            raise ServiceError(f"the service fails again and again: {reason}")
        pause = next(self._pauses)
        if asked is not None:
            pause = min(max(asked, _FIRST_PAUSE), _LONGEST_ASKED)
        self._waited += pause
        if not self._told and self._waited >= _TOLD_AFTER:
            self._note(f"{reason}; trying again")
            self._told = True
        if not self._stop.wanted:
            self._stop.wait(pause * random.uniform(1.0, 1.25))  # noqa: S311 - so that many spread
        if self._stop.wanted:
            raise StoppedError

    def over(self) -> None:
        """It worked."""
        if self._told:
            self._note("going on")


class Api:
    """One service. Use as a context. Raises ValueError for what is no URL."""

    def __init__(self, url: str, stop: Stop, note: Callable[[str], None]) -> None:
        try:
            base = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ValueError(str(error)) from None
        if base.scheme not in {"http", "https"} or not base.host:
            raise ValueError("must begin with http:// or https:// and name a host")
        timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
        self._http = httpx.Client(base_url=base, timeout=timeout)
        self._stop = stop
        self._note = note

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def again(self) -> Again:
        """For what is to be tried until it works."""
        return Again(self._stop, self._note)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer to a request, which is sent until there is one that is not `COME_AGAIN`.

        Raises StoppedError, and ServiceError where the service fails again and again.
        """
        again = self.again()
        while True:
            try:
                answer = self._http.request(method, path, **more)
            except httpx.TransportError as error:
                again.wait(f"the service does not answer ({type(error).__name__}: {error})")
                continue
            if answer.status_code not in COME_AGAIN:
                again.over()
                return answer
            again.wait(
                f"the service answers {answer.status_code}: {reason_of(problem_of(answer))}",
                status=answer.status_code,
                asked=_seconds(answer.headers.get("retry-after", "")),
            )


def pauses() -> Iterator[float]:
    """Seconds between two tries, ever longer up to a bound."""
    for attempt in itertools.count():
        yield min(_FIRST_PAUSE * 2 ** min(attempt, 16), _LONGEST_PAUSE)


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """An answer that is no success, as a problem; a proxy's is none, and its title will do."""
    try:
        value = answer.json()
    except ValueError:
        value = None
    told = value if isinstance(value, dict) else {}
    return {"title": answer.reason_phrase, **told, "status": answer.status_code}


def reason_of(problem: dict[str, Any]) -> str:
    """A problem in a line."""
    errors = problem.get("errors")
    found = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
    faults = [f"{each.get('field')}: {each.get('reason')}" for each in found]
    return "; ".join(faults) or str(problem.get("detail") or problem.get("title") or "no reason")


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
