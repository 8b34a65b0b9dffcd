"""A task's observation log as a panel: the series that its streams were sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from models.spec import Spec
from models.timeline import Timeline
from store.append import Append, append
from store.database import Database, open_database
from store.migrate import migrate
from store.streams import NewStream, open_streams
from tests.store.databases import KINDS, empty
from tests.training.fits import COUNTED, HOURS, panel, spec
from training.jobs.observed import observed_panel
from training.panel import Panel
from training.sources import SourceError

TASK = "load"


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with empty(request.param, tmp_path) as url:
        migrate(url)
        opened = open_database(url)
        yield opened
        opened.close()


def sent(database: Database, given: Panel, task: str = TASK) -> None:
    """Each series of a panel to a stream of its own, covariates and all."""
    timeline = given.timeline
    rows = []
    for series in given.series:
        stat: dict[str, Any] = {}
        stat |= zip(given.stat_exog, series.stat_exog.tolist(), strict=True)
        for name, words in given.categories.items():
            stat[name] = words[int(series.stat_exog[given.stat_exog.index(name)])]
        new = NewStream(
            task,
            series.unique_id,
            timeline.model_dump_json(),
            0,
            None,
            None,
            False,
            orjson.dumps(stat).decode(),
            1,
        )
        with database.writing() as connection:
            [(stream, _)] = open_streams(connection, [new])
        length = len(series)
        clock = timeline.at(series.start, np.arange(length))
        ds = clock.tolist() if timeline.kind == "integer" else clock.astype(np.int64).tolist()
        exog = []
        for step in range(length):
            known = dict(zip(given.hist_exog, series.hist_exog[step].tolist(), strict=True))
            known |= dict(zip(given.futr_exog, series.futr_exog[step].tolist(), strict=True))
            exog.append(orjson.dumps(known).decode())  # a NaN becomes null
        rows.append(Append(stream.id, 0, 0, ds, series.y.tolist(), exog))
    assert not append(database, rows, 1)


@pytest.mark.parametrize("timeline", [HOURS, COUNTED], ids=["hours", "counted"])
def test_the_log_is_the_series_that_were_sent(database: Database, timeline: Timeline) -> None:
    given = panel(timeline)
    sent(database, given)
    found = observed_panel(database, TASK, spec(timeline))
    assert (found.timeline, found.hist_exog, found.futr_exog, found.stat_exog) == (
        timeline,
        given.hist_exog,
        given.futr_exog,
        given.stat_exog,
    )
    assert len(found.series) == len(given.series)
    for ours, theirs in zip(found.series, given.series, strict=True):
        assert (ours.unique_id, ours.start) == (theirs.unique_id, theirs.start)
        np.testing.assert_array_equal(ours.y, theirs.y)
        np.testing.assert_array_equal(ours.hist_exog, theirs.hist_exog)
        np.testing.assert_array_equal(ours.futr_exog, theirs.futr_exog[: len(theirs)])
        np.testing.assert_array_equal(ours.stat_exog, theirs.stat_exog)


def test_without_a_champion_only_the_values_are_read(database: Database) -> None:
    sent(database, panel(HOURS))
    found = observed_panel(database, TASK, None)
    assert (found.hist_exog, found.futr_exog, found.stat_exog) == ((), (), ())
    assert found.timeline == HOURS


def test_streams_of_another_frequency_are_left_out(database: Database) -> None:
    given = panel(HOURS)
    sent(database, replace(given, series=given.series[:2]))
    sent(database, replace(panel(COUNTED), series=panel(COUNTED).series[2:]))
    assert len(observed_panel(database, TASK, spec(HOURS)).series) == 2
    assert len(observed_panel(database, TASK, None).series) == 2


@pytest.mark.parametrize("champion", [None, spec(HOURS)], ids=["none", "one"])
def test_an_empty_log_is_told(database: Database, champion: Spec | None) -> None:
    sent(database, panel(HOURS), "another")
    with pytest.raises(SourceError, match="load"):
        observed_panel(database, TASK, champion)


def test_categories_are_those_that_the_streams_said(database: Database) -> None:
    given = replace(panel(HOURS), categories={"area": ("10", "2", "30", "4")})
    sent(database, given)
    words = spec(HOURS, categorical=(("area", ("2", "30")),))
    found = observed_panel(database, TASK, words)
    assert found.categories == {"area": ("2", "30", "4")}
    assert [series.stat_exog.tolist() for series in found.series] == [[0.0], [1.0], [2.0]]


def test_what_was_said_to_a_version_of_another_kind_is_unknown(database: Database) -> None:
    sent(database, replace(panel(HOURS), categories={"area": ("a", "b", "c", "d")}))
    found = observed_panel(database, TASK, spec(HOURS))
    assert found.categories == {}
    assert all(np.isnan(series.stat_exog).all() for series in found.series)
