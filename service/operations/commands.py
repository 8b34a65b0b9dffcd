"""Runs our own command line for routes: what changes the registry is one implementation, not two.

A process also keeps MLflow's imports and a comparison's memory away from forecasts, and can be
ended when its time is up.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from service.problems import busy, problem
from store.settings import Settings

_WAIT_SECONDS = 5.0
_MOST_BYTES = 8 * 2**20
_ECHOED = 300

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended, and what it printed."""

    status: int
    output: bytes
    complaint: str


class Commands:
    """Runs one command at a time: each holds a few hundred megabytes."""

    def __init__(self, settings: Settings) -> None:
        self._environment = settings.environment()
        self._turn = asyncio.Lock()

    async def run(self, words: Sequence[str], seconds: float) -> Done:
        """`gatecast` with these words, to its end. The caller's cancellation ends it.

        Raises 503 where others wait for too long already, or it takes longer than `seconds`.
        """
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise busy("another operation is at work", 5) from None
        try:
            return await self._run(words, seconds)
        finally:
            self._turn.release()

    async def _run(self, words: Sequence[str], seconds: float) -> Done:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gatecast",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
            limit=_MOST_BYTES,
        )
        try:
            async with asyncio.timeout(seconds):
                output, complaint = await process.communicate()
        except TimeoutError:
            log.error("operation too slow", command=words[0])
            raise problem(
                503,
                "operation-too-slow",
                "not done in time; ask what the champion is before you try again",
                headers={"retry-after": "5"},
            ) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        said = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        said = said.removeprefix("gatecast: ")[:_ECHOED]
        log.info("operation", command=words[0], status=process.returncode, said=said)
        return Done(process.returncode or 0, output, said)
