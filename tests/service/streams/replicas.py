"""A service's streams without HTTP: one engine over a store that others may use too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from service.live.scorer import Scored, Scorer
from service.live.tally import Tally
from service.slots import Loaded, Slot, Slots
from service.streams.engine import Engine, now_ms
from service.streams.feeds import Feeds
from service.streams.keeper import Keeper
from service.streams.opening import Streams
from store.database import Database, open_database
from store.migrate import migrate
from tests.store.databases import empty


class Replica:
    """One process's part, as far as streams are concerned. Made and used on one event loop."""

    def __init__(
        self,
        database: Database,
        champions: Iterable[Loaded] = (),
        *,
        most_resident: int = 100,
        most_waiting: int = 100_000,
        clock: Callable[[], int] = now_ms,
        tell: Callable[[Sequence[Scored]], None] | None = None,
    ) -> None:
        before = asyncio.all_tasks()
        self.slots = Slots()
        for champion in champions:
            self.promote(champion)
        self.keeper = Keeper(database)
        self.feeds = Feeds()
        self.tally = Tally()
        self.engine = Engine(
            self.slots,
            self.keeper,
            self.feeds,
            Scorer(self.tally, tell),
            most_resident=most_resident,
            most_waiting=most_waiting,
            clock=clock,
        )
        self.streams = Streams(self.engine, self.keeper, self.feeds)
        self._tasks = asyncio.all_tasks() - before

    def promote(self, loaded: Loaded) -> None:
        """Let a version serve its task."""
        self.slots.put(Slot(loaded.task, champion=loaded))

    def champion(self, task: str) -> Loaded:
        """The version that serves a task."""
        slot = self.slots.get(task)
        assert slot is not None
        assert slot.champion is not None
        return slot.champion

    async def stop(self, seconds: float = 10.0) -> None:
        """End as a service does."""
        await self.engine.close(seconds)
        await self.keeper.close()

    async def crash(self) -> None:
        """Stop dead: nothing is finished or saved but what the store's thread has begun."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.keeper.close()


@asynccontextmanager
async def replica(
    database: Database, *champions: Loaded, most_resident: int = 100, most_waiting: int = 100_000
) -> AsyncIterator[Replica]:
    """A replica that is stopped when the block ends."""
    made = Replica(database, champions, most_resident=most_resident, most_waiting=most_waiting)
    try:
        yield made
    finally:
        await made.stop()


@contextmanager
def store(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a store with our schema; a file lies in memory where there is a disk of that."""
    memory = Path("/dev/shm")  # noqa: S108 - the tests wait for syncs, and none is for a crash
    if kind == "sqlite" and memory.is_dir():
        with TemporaryDirectory(dir=memory) as place, empty(kind, Path(place)) as url:
            migrate(url)
            yield url
        return
    with empty(kind, folder) as url:
        migrate(url)
        yield url


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """A connection to a store of one's own."""
    database = open_database(url)
    try:
        yield database
    finally:
        database.close()
