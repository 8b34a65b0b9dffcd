"""Covariates as the store keeps them: JSON objects by name, so that no version's order matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from models.categories import stat_values
from models.holidays import holidays_after
from models.spec import Spec
from service.streams.stamps import clock_of


def write_covariates(values: Mapping[str, str | float | None]) -> str | None:
    """Covariates of one step or stream, null where unknown; None where there are none."""
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode() if values else None


def read_covariates(texts: Sequence[str | None], names: Sequence[str]) -> NDArray[np.float32]:
    """(n, len(names)) float32 of n log entries: NaN where a covariate is null or was not known."""
    known = [{} if text is None else orjson.loads(text) for text in texts]
    rows = [[each.get(name) for name in names] for each in known]
    return np.array(rows, np.float32).reshape(len(texts), len(names))


def read_stat(texts: Sequence[str | None], spec: Spec) -> NDArray[np.float32]:
    """(n, len(spec.stat_exog)) float32 of what n streams were opened with: NaN for what is null,
    was not given, or is a category that this version does not know."""
    given = [{} if text is None else orjson.loads(text) for text in texts]
    rows = [stat_values(spec, each) for each in given]
    return np.array(rows, np.float32).reshape(len(texts), len(spec.stat_exog))


def known_ahead(spec: Spec, newest: Sequence[int | None]) -> NDArray[np.float32]:
    """(n, horizon, n_futr) float32 of what time alone tells of the steps after the newest of each
    of n streams, None for one without any: its holidays. The rest is NaN."""
    futr = np.full((len(newest), spec.horizon, spec.n_futr), np.nan, np.float32)
    rows = [row for row, ds in enumerate(newest) if ds is not None]
    if spec.holidays and rows:
        clock = clock_of(spec.timeline, [ds for ds in newest if ds is not None])
        futr[rows, :, -1:] = holidays_after(spec, clock)
    return futr
