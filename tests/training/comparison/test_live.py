"""Live scores as a comparison shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.database import open_database
from store.migrate import migrate
from store.scores import Scores, add_scores
from training.comparison.live import live_scores


def test_scores_are_means_over_hours_and_leads_by_version(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/gatecast.db"
    migrate(url)
    database = open_database(url)
    with database.writing() as connection:
        add_scores(
            connection,
            [
                Scores("load", "2", 1, 0, 3, 3.0, 9.0, 1.5, 3.0, 3.0),
                Scores("load", "2", 1, 3_600_000, 1, 2.0, 4.0, 0.5, 0.0, 1.0),
                Scores("load", "2", 24, 0, 4, 3.0, 9.0, 2.0, 1.0, 4.0),
                Scores("load", "3", 1, 0, 1, 0.5, 0.25, 0.1, None, None),
                Scores("other", "1", 1, 0, 9, 9.0, 9.0, 9.0, 9.0, 9.0),
            ],
        )
    database.close()
    found = live_scores(url, "load")
    assert found[2] == pytest.approx(
        {
            "forecasts": 8,
            "scaled_error": 1.0,
            "quantile_loss": 0.5,
            "coverage_80": 0.5,
            "coverage_95": 1.0,
        }
    )
    assert found[3] == pytest.approx({"forecasts": 1, "scaled_error": 0.5, "quantile_loss": 0.1})
    assert set(found) == {2, 3}


def test_a_store_that_cannot_be_had_is_done_without() -> None:
    assert live_scores("postgresql://nobody@127.0.0.1:1/none", "load") == {}
