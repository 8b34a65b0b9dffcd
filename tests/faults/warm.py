"""What a process that fits needs, imported once for all that are to be killed."""

from __future__ import annotations

import matplotlib.figure  # noqa: F401
import statsforecast  # noqa: F401

import training.pipeline  # noqa: F401
from training.registry import quiet_mlflow

quiet_mlflow()
