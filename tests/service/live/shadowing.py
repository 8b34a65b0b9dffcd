"""A replica whose champion has a challenger in shadow, with a real library behind it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from service.bundles import Bundles
from service.library import Library
from service.live.scorer import Scored
from service.live.shadow import Shadow
from service.slots import Loaded, Slot
from store.conventions import CHALLENGER
from store.database import Database
from tests.service.shelf import Shelf
from tests.service.streams.replicas import Replica

DAMAGED = "66"


class Stage:
    """A replica, its shadow, and all that the shadow was told."""

    def __init__(self, database: Database, bundles: Bundles, shelf: Shelf) -> None:
        self.told: list[Scored] = []
        self.replica = Replica(database, tell=self._tell)
        self.replica.slots.complete = True
        self.library = Library(self.replica.slots, bundles, shelf, kept=2)
        self.shadow = self.begun()

    def begun(self, count: int = 50) -> Shadow:
        """A shadow that knows nothing yet, as after a restart."""
        made = self.replica
        self.shadow = Shadow(made.slots, self.library, made.keeper, made.tally, count=count)
        return self.shadow

    def name(self, champion: Loaded, challenger: str | None) -> None:
        """What the registry says from now on."""
        aliases = {} if challenger is None else {CHALLENGER: challenger}
        self.replica.slots.put(Slot(champion.task, champion=champion, aliases=aliases))

    def scored(self, version: Loaded) -> list[int]:
        """How many forecasts of a version were counted, by lead."""
        totals = self.replica.tally.totals
        places = [(version.task, version.version, lead) for lead in (1, 2, 3)]
        return [int(totals[place][0]) if place in totals else 0 for place in places]

    def _tell(self, scored: Sequence[Scored]) -> None:
        self.told += scored
        self.shadow.seen(scored)


@asynccontextmanager
async def stage(
    database: Database, folder: Path, versions: Sequence[Loaded]
) -> AsyncIterator[Stage]:
    """The first version serves, the second is in shadow; `DAMAGED` is there, but cannot be read."""
    for each in versions:
        shutil.copytree(each.source, folder / "shelf" / each.version)
    shutil.copytree(versions[-1].source, folder / "shelf" / DAMAGED)
    weights = folder / "shelf" / DAMAGED / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    shelf = Shelf(folder / "shelf")
    bundles = Bundles(folder / "bundles", shelf, max_bytes=10**7, kept=2)
    made = Stage(database, bundles, shelf)
    made.name(versions[0], versions[1].version)
    try:
        yield made
    finally:
        await made.replica.stop()
        await made.library.close()
        await bundles.close()
