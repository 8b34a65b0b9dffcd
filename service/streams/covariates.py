"""Covariates as the store keeps them: JSON objects by name, so that no version's order matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import orjson
from numpy.typing import NDArray


def write_covariates(values: Mapping[str, float | None]) -> str | None:
    """Covariates of one step or stream, null where unknown; None where there are none."""
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode() if values else None


def read_covariates(texts: Sequence[str | None], names: Sequence[str]) -> NDArray[np.float32]:
    """(n, len(names)) float32 of n log entries: NaN where a covariate is null or was not known."""
    known = [{} if text is None else orjson.loads(text) for text in texts]
    rows = [[each.get(name) for name in names] for each in known]
    return np.array(rows, np.float32).reshape(len(texts), len(names))
