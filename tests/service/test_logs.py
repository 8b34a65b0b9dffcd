"""Logs, where they cannot be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import logging, structlog
from service.logs import configure
configure("info")
for _ in range(100):
    structlog.get_logger().info("x" * 1000)
    logging.getLogger().warning("x" * 1000)
print("went on")
"""


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", CODE], check=False, stdout=subprocess.PIPE, stderr=full
        )
    assert done.stdout == b"went on\n"
