"""One holder a task, whatever becomes of the holders."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from multiprocessing.synchronize import Event

import pytest

from store.database import Database, open_database
from store.locks import LeaseLostError, LockBusyError, holding, take


def test_a_second_holder_waits_for_the_first(database: Database) -> None:
    with holding(database, "waits", by="one"):
        with (
            pytest.raises(LockBusyError, match="'waits'"),
            holding(database, "waits", by="two", wait=0.0),
        ):
            pass
        with holding(database, "another task", by="two", wait=0.0):
            pass
    with holding(database, "waits", by="two", wait=0.0) as lease:
        assert lease.token == 2


def test_of_many_at_once_one_is_in(database: Database) -> None:
    inside, most, turns = 0, 0, 0
    look = threading.Lock()

    def work() -> None:
        nonlocal inside, most, turns
        with holding(database, "many", by="one of many", wait=30.0):
            with look:
                inside, most = inside + 1, max(most, inside + 1)
            time.sleep(0.01)
            with look:
                inside, turns = inside - 1, turns + 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, turns) == (1, 8)


def test_who_wakes_after_the_lease_finds_it_gone(database: Database) -> None:
    slow = take(database, "paused", by="slow", seconds=0.05)
    assert slow is not None
    time.sleep(0.1)
    with pytest.raises(LeaseLostError):  # even before anybody took over
        slow.renew()
    with holding(database, "paused", by="next", wait=0.0) as lease:
        assert lease.token > slow.token
        with pytest.raises(LeaseLostError):
            slow.renew()
        slow.release()  # which lets go of nothing
        lease.renew()
        assert take(database, "paused", by="third", seconds=1.0) is None


def test_a_lease_that_is_renewed_lasts(database: Database) -> None:
    # renewed each second: a busy machine may hold that up for a while, as a lease allows
    with holding(database, "renewed", by="one", seconds=4.0) as lease:
        time.sleep(4.5)
        assert take(database, "renewed", by="two", seconds=1.0) is None
        lease.renew()


def _hold(url: str, held: Event) -> None:
    with holding(open_database(url), "killed", by="the killed", seconds=1.0):
        held.set()
        time.sleep(60)


def test_a_killed_holder_blocks_for_as_long_as_its_lease(shared_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    held = spawn.Event()
    process = spawn.Process(target=_hold, args=(shared_url, held))
    process.start()
    assert held.wait(30)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    database = open_database(shared_url)
    with holding(database, "killed", by="the next", wait=10.0):
        pass
    database.close()
