"""A disk without room: the store says so, keeps nothing half, and goes on when there is room."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

UNWRITTEN = "the disk cannot be read or written"

# In a process of its own: the limit holds for all its files, and Python ignores the signal.
CODE = """
import resource, sys
from store.append import Append, append
from store.checkpoints import Checkpoint, save_checkpoints
from store.database import open_database
from store.errors import StoreDownError
from store.log import rows_after, tails
from store.migrate import migrate
from tests.store.databases import OPENED, opened

url = sys.argv[1]
migrate(url)
database = open_database(url)
(stream,) = opened(database, 1)

def tail():
    with database.reading() as connection:
        return tails(connection, [stream])[stream].seq

def add(count=2_000):
    seq = tail()
    return append(
        database,
        [Append(stream, seq, 0, [*range(seq, seq + count)], [0.5] * count, ["x" * 50] * count)],
        1,
    )

_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, most))
done = failures = 0
# After a failure the log of writes may go into the database, which makes room once more.
while failures < 4:
    try:
        add()
    except StoreDownError as error:
        print(error.reason, error.unknown)
        failures += 1
    else:
        done += 2_000
        failures = 0
        assert done < 100_000, "the limit does not hold"
    assert tail() == done
try:
    save_checkpoints(
        database, [Checkpoint(stream, "0" * 64, 1, 1, OPENED, 0, 1, True, b"x" * 2**20)], keep={}
    )
except StoreDownError as error:
    print(error.reason, error.unknown)
assert tail() == done
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
assert add() == frozenset()
database.close()
database = open_database(url)
with database.reading() as connection:
    rows = rows_after(connection, {stream: None})[stream]
    assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
assert rows.seq.tolist() == list(range(1, done + 2_001))
print("whole", done)
"""


def test_a_full_disk_is_told_and_nothing_is_half_there(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE, f"sqlite:///{tmp_path}/gatecast.db"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    *told, whole = done.stdout.splitlines()
    assert len(told) >= 4 + 1
    # A file at its limit is an I/O error to SQLite; a file system without room is "full".
    assert {*told} <= {"the disk is full False", *(f"{UNWRITTEN} {word}" for word in (True, False))}
    assert whole.startswith("whole ")
