"""What a stream does not take, as problems: each says what would be right."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.timeline import DsError, Timeline
from service.problems import Fault, ProblemError, invalid, problem
from service.streams.head import Head
from service.streams.stamps import clock_of


def unknown_stream(task: str) -> ProblemError:
    """404 for a stream that nobody opened."""
    return problem(
        404,
        "unknown-stream",
        f"no such stream; open it by PUT /v1/models/{task}/streams/{{unique_id}}",
    )


def gone(ds: Any, *, expired: bool) -> ProblemError:
    """410 for a stream that was closed or expired. ds: its last time stamp, as it is written."""
    how = "expired" if expired else "was closed"
    return problem(
        410,
        "expired-stream" if expired else "closed-stream",
        f"the stream {how}; a PUT opens it again, with all that it has observed",
        members={"last_ds": ds},
    )


def no_champion() -> ProblemError:
    """503 for a task whose version is not loaded."""
    return problem(
        503, "model-unavailable", "the model is being loaded", headers={"retry-after": "5"}
    )


def exchanged() -> ProblemError:
    """503 for a known future that fitted the version before: nothing was changed."""
    return problem(
        503,
        "model-exchanged",
        "another version of the model came meanwhile, which reads another futr_exog; send it again",
        headers={"retry-after": "1"},
    )


def incompatible() -> ProblemError:
    """409 for a stream on another timeline than the version that serves."""
    return problem(
        409,
        "incompatible-version",
        "the stream was opened with another frequency or time zone than the model has now; "
        "open another stream and send it the history",
    )


def other_stat() -> ProblemError:
    """409 for a stream that was opened with other covariates that never change."""
    return problem(
        409, "other-stream", "the stream was opened with other stat_exog, which never change"
    )


def conflict(ds: Any, stored: float | None, given: float | None) -> ProblemError:
    """409 for another value than the one that the log has for the same time."""
    same = stored == given
    return problem(
        409,
        "conflicting-observation",
        "the stream has other covariates for this time"
        if same
        else "the stream has another value for this time",
        members={"ds": ds, "stored": stored, "given": given},
    )


def late(ds: Any, expected: Any, rewind: int) -> ProblemError:
    """409 for an observation before the newest, farther than the stream goes back."""
    reason = (
        f"this is more than {rewind} steps before the newest observation"
        if rewind
        else "this is before the newest observation, and the stream was not opened with `rewind`"
    )
    return problem(409, "late-observation", reason, members={"ds": ds, "expected": expected})


def expected(timeline: Timeline, head: Head) -> Any:
    """The time that a stream's next observation should have, as it is written; None for any.

    None too where time ends before it.
    """
    if head.ds is None:
        return None
    try:
        after = timeline.at(clock_of(timeline, [head.ds]), np.array([1]))
    except DsError:
        return None
    return timeline.format(after)[0]


def astray(timeline: Timeline, head: Head, ds: int) -> ProblemError:
    """422 for a time that is not on the stream's grid."""
    start = head.start if head.ds is not None else ds
    reason = timeline.astray(clock_of(timeline, [start])[0], clock_of(timeline, [ds])[0])
    return invalid([Fault(field="ds", reason=reason)])


def unfit() -> ProblemError:
    """422 for values of which the forecaster makes no finite numbers."""
    return problem(
        422, "unfit-observation", "the values are too large or too far apart to be forecast"
    )


def too_slow() -> ProblemError:
    """503 for work whose deadline passed before it began: nothing was changed."""
    return problem(
        503, "deadline", "not begun in time; nothing was changed", headers={"retry-after": "1"}
    )


def unanswered() -> ProblemError:
    """503 for work that was begun and does not end: it may yet come to pass."""
    return problem(
        503,
        "unanswered",
        "the store does not answer; what was sent may or may not be kept: send it again",
        headers={"retry-after": "1"},
    )


def crowded() -> ProblemError:
    """429 for a stream with too many requests waiting."""
    return problem(
        429,
        "stream-busy",
        "too many requests wait for this stream",
        headers={"retry-after": "1"},
    )


def stopping() -> ProblemError:
    """503 while the service ends."""
    return problem(503, "stopping", "the service is stopping", headers={"retry-after": "5"})


def not_kept(reason: str) -> ProblemError:
    """503 where the log could not be written or read: nothing is acknowledged."""
    return problem(503, "store-unavailable", reason, headers={"retry-after": "1"})
