"""Files, databases and frames to panels; every fault of the data named by series and row."""

from .facts import Facts, Gap, describe, digest
from .faults import DataError, Fault, SourceError
from .frames import ArrowFrame
from .load import load, load_frame
from .table import Columns, Shape

__all__ = [
    "ArrowFrame",
    "Columns",
    "DataError",
    "Facts",
    "Fault",
    "Gap",
    "Shape",
    "SourceError",
    "describe",
    "digest",
    "load",
    "load_frame",
]
