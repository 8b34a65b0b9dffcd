"""The constants by which a forecaster's covariates are scaled: those of the data it learns from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.context import Context
from models.forecaster import Forecaster


def scale_covariates(forecaster: Forecaster, pasts: Sequence[Context]) -> None:
    """Set the encoder's location and scale of each covariate to its mean and standard deviation.

    The calendar is left as it is. A covariate that never changes, or is never known, keeps scale 1,
    and so do categories, that rare ones are not made loud.
    """
    encoder = forecaster.encoder
    loc, scale = _moments([past.exog for past in pasts])
    loc[: encoder.n_calendar], scale[: encoder.n_calendar] = 0.0, 1.0
    encoder.exog_loc.copy_(torch.from_numpy(loc))
    encoder.exog_scale.copy_(torch.from_numpy(scale))
    stat = encoder.columns(torch.from_numpy(np.stack([past.stat for past in pasts])))
    loc, scale = _moments([stat.numpy()])
    one_hot = [n > 0 for n in encoder.categories for _ in range(n or 1)]
    encoder.stat_loc.copy_(torch.from_numpy(loc))
    encoder.stat_scale.copy_(torch.from_numpy(np.where(one_hot, 1.0, scale)))


def _moments(
    rows: Sequence[NDArray[np.float32]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column (T, X) over all rows, NaN left out."""
    values = np.concatenate(rows).astype(np.float64)
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=0), 1)
    loc = np.where(known, values, 0.0).sum(axis=0) / count
    scale = np.sqrt((np.where(known, values - loc, 0.0) ** 2).sum(axis=0) / count)
    return loc, np.where(scale > 0, scale, 1.0)
