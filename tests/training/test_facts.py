from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.training.fits import COUNTED, backtest_of, fit_of, panel, spec
from training.facts import data_facts, scores
from training.panel import Panel


def test_facts_count_observations_and_give_the_range_with_offsets() -> None:
    facts = data_facts(panel(), "loads.csv")
    assert (facts.n_series, facts.n_observations) == (3, 3 * 196)
    assert facts.first == "2024-03-29T01:00:00+01:00"
    assert facts.last == "2024-04-06T09:00:00+02:00"


def test_facts_of_counted_steps_are_whole_numbers() -> None:
    facts = data_facts(panel(COUNTED), "loads.csv")
    assert (facts.first, facts.last) == (7, 206)


def test_facts_are_of_what_lies_before_the_cutoffs() -> None:
    given = panel()
    facts = data_facts(given, "loads.csv", np.array([100, 90, 0]))
    assert (facts.n_series, facts.n_observations) == (2, 190)
    assert facts.last == "2024-04-02T05:00:00+02:00"
    assert facts.digest != data_facts(given, "loads.csv").digest


def test_what_comes_after_the_cutoff_does_not_change_the_digest() -> None:
    given = panel()
    changed = [
        replace(series, y=np.where(np.arange(200) < 150, series.y, 0.0)) for series in given.series
    ]
    cutoffs = np.array([150] * 3)
    before = data_facts(given, "", cutoffs).digest
    assert data_facts(replace(given, series=tuple(changed)), "", cutoffs).digest == before


def test_the_digest_does_not_depend_on_the_order_of_series() -> None:
    given = panel()
    assert (
        data_facts(replace(given, series=given.series[::-1]), "").digest
        == data_facts(given, "").digest
    )


@pytest.mark.parametrize(
    "field", ["unique_id", "start", "y", "hist_exog", "futr_exog", "stat_exog"]
)
def test_the_digest_depends_on_every_part_of_a_series(field: str) -> None:
    given = panel()
    first = given.series[0]
    other: Any
    if field == "unique_id":
        other = "elsewhere"
    elif field == "start":
        other = first.start + np.timedelta64(1, "h")
    else:
        other = np.nan_to_num(getattr(first, field)) + 1e-9
    changed = replace(given, series=(replace(first, **{field: other}), *given.series[1:]))
    assert data_facts(changed, "").digest != data_facts(given, "").digest


def test_a_hole_is_not_a_zero_and_a_nan_has_one_spelling() -> None:
    given = panel()
    first = given.series[0]
    other_nan = np.where(np.isnan(first.y), -np.nan, first.y)
    zero = np.nan_to_num(first.y)
    digests = [
        data_facts(Panel(given.timeline, (replace(first, y=y),)), "").digest
        for y in (first.y, other_nan, zero)
    ]
    assert digests[0] == digests[1] != digests[2]


def test_a_password_in_the_source_is_masked() -> None:
    facts = data_facts(panel(), "postgresql://reader:hunter2@db/loads?sslmode=require")
    assert "hunter2" not in facts.source
    assert "reader" in facts.source


def test_nothing_seen_is_refused() -> None:
    with pytest.raises(ValueError, match="no step"):
        data_facts(panel(), "", np.zeros(3, dtype=np.int64))


def test_scores_of_a_point_forecaster_have_no_intervals() -> None:
    given = panel()
    result = backtest_of(given, point=fit_of(spec(quantiles=()), given))
    standing = scores(result, "point", ["seasonal_naive"]).forecaster
    assert standing.metrics["msis"].overall is None
    assert standing.metrics["mase"].overall == pytest.approx(result.scores["point"].overall["mase"])
    assert len(standing.metrics["mase"].by_horizon) == 6
