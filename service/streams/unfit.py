"""Observations of which no finite numbers come: the one at fault is refused, and it alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from service.problems import ProblemError, problem
from service.streams.arrival import Kind, Outcome
from service.streams.batch import Course, Turn
from service.streams.jobs import Job, Reply
from service.streams.replies import reply_of


def refused(course: Course, job: Job) -> Reply:
    """The answer to a job by itself, of at most one observation, which is at fault.

    What the log has already keeps its outcomes, and only its forecast is none.
    """
    outcomes = job.outcomes or [Outcome(Kind.UNFIT, ds) for ds in job.arrival.ds]
    return reply_of(course, Turn(job.arrival, wants=False, outcomes=outcomes))


async def one_by_one(jobs: Sequence[Job], again: Callable[[Sequence[Job]], None]) -> None:
    """Answer a stream's jobs, of which no finite numbers came. again: lets jobs wait anew."""
    for job in jobs:
        outcomes: list[Outcome] = list(job.outcomes)
        reply: Reply | ProblemError = problem(500, "internal-error")
        for index in range(max(1, len(job.arrival))):
            # once a part is in the log, the whole is begun
            part = job.alone(index, asyncio.get_running_loop().create_future(), begun=index > 0)
            again([part])
            await part.request.done
            reply = part.reply or reply
            if isinstance(reply, ProblemError):
                break
            outcomes += reply.outcomes[len(part.outcomes) :]
        job.settle(reply if isinstance(reply, ProblemError) else reply.with_outcomes(outcomes))
