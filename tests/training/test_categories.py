"""What a series says of itself in words is learnt from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.predict import predict
from tests.training.panels import COUNTED, series_of, spec_of
from tests.training.trainers import schedule_of
from training.contexts import context
from training.fit import fit
from training.panel import Panel


def test_a_category_tells_what_the_values_cannot() -> None:
    random = np.random.default_rng(0)
    kinds = np.arange(60) % 3  # the first rise, the second stay, the third fall
    values = (
        100.0 + 2.0 * np.arange(16) * (1.0 - kinds[:, None]) + 4.0 * random.normal(size=(60, 16))
    )
    series = tuple(
        replace(series_of(str(k), y), stat_exog=np.array([float(kinds[k])]))
        for k, y in enumerate(values)
    )
    panel = Panel(COUNTED, series, stat_exog=("kind",), categories={"kind": ("a", "b", "c")})
    spec = spec_of(
        hidden_size=16, season=(), stat_exog=("kind",),
        categorical=(("kind", ("a", "b", "c")),),
    )  # fmt: skip
    fitted = fit(panel, spec, schedule_of(batches=150, learning_rate=1e-2))
    alike = np.array([96.0, 104.0, 100.0])
    pasts = [replace(context(panel, one, spec, 3), y=alike) for one in series[:3]]
    rise, stay, fall = predict(fitted.forecaster, pasts)[:, -1, spec.quantiles.index(0.5)]
    assert rise > stay + 1 > fall + 2
