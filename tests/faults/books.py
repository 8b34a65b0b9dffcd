"""Whether the log holds what was acknowledged, once and in order, and forecasts follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import httpx
import numpy as np
from numpy.typing import NDArray

from models.context import Context
from models.forecaster import Forecaster
from models.predict import point, predict
from service.streams.stamps import clock_of
from store.database import Database, open_database
from store.log import Rows, rows_until_seq
from store.streams import find_streams
from tests.faults.clients import Client, Series
from tests.faults.plans import plan
from tests.faults.serving import TASK

_ALL = 2**62
_TOLERANCE = 1e-5
_SAMPLE = 10


def check(url: str, database_url: str, clients: Sequence[Client], forecaster: Forecaster) -> int:
    """Hold a service that runs, and its store, against its clients. Returns the rows of the log."""
    database = open_database(database_url)
    try:
        return sum(
            _check(url, database, series, forecaster)
            for client in clients
            for series in client.series
        )
    finally:
        database.close()


def _check(url: str, database: Database, series: Series, forecaster: Forecaster) -> int:
    rows = log_of(database, series.name, _ALL)
    check_rows(series, rows)
    if not len(rows):
        return 0
    # Every answer named the position after which its forecast was made.
    positions = [*series.forecasts][:: max(1, len(series.forecasts) // _SAMPLE)]
    answered = [series.forecasts[position] for position in positions]
    logs = [log_of(database, series.name, position) for position in positions]
    answer = httpx.get(f"{url}{series.path}/forecast?quantiles=0.5", timeout=30)
    assert answer.status_code == 200, answer.text
    answered.append(answer.json()["forecast"]["mean"])
    expected = forecasts(forecaster, [*logs, rows])
    np.testing.assert_allclose(answered, expected, rtol=_TOLERANCE)
    return len(rows)


def log_of(database: Database, name: str, seq: int) -> Rows:
    """The rows of a stream up to a position, by ascending ds; -1 is no stream's number."""
    with database.reading() as connection:
        stream = find_streams(connection, [(TASK, name)]).get((TASK, name))
        return rows_until_seq(connection, -1 if stream is None else stream.id, seq)


def check_rows(series: Series, rows: Rows, *, whole: bool = True) -> None:
    """What was acknowledged is in the log once, in its order; if `whole`, nothing else is."""
    order = np.argsort(rows.seq)
    assert rows.seq[order].tolist() == list(range(1, len(rows) + 1))
    planned = [*islice(plan(series.name, late=series.late), len(rows))]
    assert rows.ds[order].tolist() == [each.clock for each in planned]
    values = [np.nan if each.y is None else each.y for each in planned]
    np.testing.assert_array_equal(rows.y[order], values)
    assert planned[: len(series.acknowledged)] == series.acknowledged
    assert len(rows) == len(series.acknowledged) or not whole


def forecasts(forecaster: Forecaster, logs: Sequence[Rows]) -> NDArray[np.float64]:
    """(n, horizon) the batch forecasts over logs none of which has a gap that begins it anew."""
    values = predict(forecaster, [_context(forecaster, rows) for rows in logs])
    return point(forecaster.spec, values)


def _context(forecaster: Forecaster, rows: Rows) -> Context:
    spec = forecaster.spec
    stamps = clock_of(spec.timeline, rows.ds)
    places, _ = spec.timeline.steps(stamps[:1], stamps)
    steps = int(places[-1]) + 1
    y = np.full(steps, np.nan)
    y[places] = rows.y
    exog = spec.timeline.calendar(spec.timeline.at(stamps[:1], np.arange(steps)), spec.calendar)
    return Context(y, exog, np.zeros((spec.horizon, 0), np.float32), np.zeros(0, np.float32))
