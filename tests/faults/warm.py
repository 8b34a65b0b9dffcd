"""What a process that fits or serves needs, imported once for all that are to be killed."""

from __future__ import annotations

import matplotlib.figure  # noqa: F401
import psycopg  # noqa: F401
import statsforecast  # noqa: F401
import uvloop  # noqa: F401

import gatecast  # noqa: F401
import service.server  # noqa: F401
import training.pipeline  # noqa: F401
from training.registry import quiet_mlflow

quiet_mlflow()
