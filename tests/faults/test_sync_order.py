"""Synced, then acknowledged: what a kill cannot show, since the kernel's memory outlives it."""

from __future__ import annotations

import random
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from store.database import Database, open_database
from store.errors import StoreError
from tests.faults.books import log_of
from tests.faults.power_cut import Disk
from tests.faults.trace import Event
from tests.faults.traced import POSTS, STREAMS, Answer, Traced, traced

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

CUTS = 200
_FRAME_HEAD, _PAGE = 24, 4096


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, bundles: Path) -> Traced:
    return traced(tmp_path_factory.mktemp("traced"), bundles)


@pytest.fixture(scope="module", params=["OFF", "NORMAL"])
def careless(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bundles: Path
) -> Traced:
    """The same, if it had not asked SQLite to sync every commit."""
    return traced(tmp_path_factory.mktemp("careless"), bundles, synchronous=request.param)


def sent(service: Traced, answer: Answer) -> Event:
    """The call that sent an answer."""
    [event] = (e for e in service.events if e.kind == "send" and answer.id.encode() in e.data)
    return event


def committed(service: Traced, answer: Answer) -> int:
    """When the end of the commit that an answer is about had been written to the log of writes.

    Its frames are a head and a page each; the last head tells the size of the database.
    """
    wal = [e for e in service.events if e.kind == "write" and e.path == f"{service.store}-wal"]
    numbers = [struct.pack(">d", each.y) for each in answer.observations if each.y is not None]
    for number in numbers:
        assert any(number in event.data for event in wal), "what was acknowledged is not written"
    last = max((next(e.done for e in wal if number in e.data) for number in numbers), default=0)
    for head, page in pairwise(wal):
        if len(head.data) == _FRAME_HEAD and page.done >= last and any(head.data[4:8]):
            assert len(page.data) == _PAGE
            return page.done
    raise AssertionError("no commit")


def early(service: Traced) -> list[str]:
    """Answers that were sent before what they acknowledge was synced."""
    syncs = [e for e in service.events if e.kind == "sync" and e.path == f"{service.store}-wal"]
    found = []
    for answer in service.answers:
        written, send = committed(service, answer), sent(service, answer)
        if not any(written < sync.begun and sync.done < send.begun for sync in syncs):
            found.append(answer.id)
    return found


def lost(service: Traced, folder: Path) -> int:
    """Cuts of power at random moments after which acknowledged observations were not there."""
    rng = random.Random(0)  # noqa: S311 - when, no secret
    sends = {answer.id: sent(service, answer).begun for answer in service.answers}
    moments = sorted(rng.sample(range(min(sends.values()), service.events[-1].done), CUTS))
    disk = Disk(service.store.parent)
    waiting = iter(service.events)
    event: Event | None = next(waiting)
    losses = 0
    for number, moment in enumerate(moments):
        while event is not None and event.done <= moment:
            disk.follow(event)
            event = next(waiting, None)
        place = folder / str(number)
        place.mkdir()
        disk.cut(rng, place)
        given = [answer for answer in service.answers if sends[answer.id] <= moment]
        losses += not has_all(place / service.store.name, given)
    return losses


def has_all(store: Path, answers: list[Answer]) -> bool:
    """Whether a store that is opened afresh is whole, and has each of these at its position."""
    database = open_database(f"sqlite:///{store}")
    try:
        with database.reading() as connection:
            faults = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        return faults == ["ok"] and all(
            _has(database, answers, name) for name in {a.stream for a in answers}
        )
    except StoreError:
        return False
    finally:
        database.close()


def _has(database: Database, answers: list[Answer], name: str) -> bool:
    its = [each for one in answers if one.stream == name for each in one.observations]
    rows = log_of(database, name, len(its))
    values = [np.nan if each.y is None else each.y for each in its]
    return np.array_equal(rows.y, values, equal_nan=True)


def test_every_answer_was_sent_after_its_observations_were_synced(service: Traced) -> None:
    assert len(service.answers) == STREAMS * POSTS
    assert early(service) == []


def test_without_a_sync_of_every_commit_answers_are_early(careless: Traced) -> None:
    assert len(early(careless)) > POSTS


def test_after_a_loss_of_power_all_that_was_acknowledged_is_there(
    service: Traced, tmp_path: Path
) -> None:
    checkpoints = [e for e in service.events if e.kind == "sync" and e.path == str(service.store)]
    assert len(checkpoints) > 3, "the log of writes never went into the database"
    assert lost(service, tmp_path) == 0


def test_without_a_sync_of_every_commit_a_loss_of_power_is_one_of_observations(
    careless: Traced, tmp_path: Path
) -> None:
    assert lost(careless, tmp_path) > 0
