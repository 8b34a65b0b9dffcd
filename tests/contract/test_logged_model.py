"""What is logged to MLflow gives the service's numbers, wherever it is loaded."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from models.bundle import read_bundle
from models.context import Context
from models.holidays import Holidays
from models.levels import at_levels
from models.manifest import WEIGHTS
from models.predict import point, predict
from store.conventions import BUNDLE_FOLDER
from tests.training.fits import COUNTED, HOURS, embedded, file_of, logged, panel
from training.contexts import context
from training.logged_model import input_example
from training.panel import Panel, Series
from training.registry import quiet_mlflow

BARE: dict[str, Any] = {"hist_exog": (), "futr_exog": (), "stat_exog": ()}
EASTER = Holidays(place="DE", days=(19811, 19814, 19817, 19819))
"""Of 2024, and two days more: among the panel's last values, and the one that is forecast."""
Logged = Callable[..., "LoggedModel"]


class LoggedModel:
    """A logged model's folder, the panel it was fitted to, and what it must forecast."""

    def __init__(self, folder: Path, given: Panel) -> None:
        self.folder = folder
        self.given = given
        self.forecaster, manifest = read_bundle(folder / BUNDLE_FOLDER)
        self.warming = manifest.warming
        self.spec = self.forecaster.spec

    def rows(self, *, steps: int = 60) -> pd.DataFrame:
        """The newest steps of every series, as `input_example` has them, in one long frame."""
        wide = self.spec.model_copy(update={"input_size": steps})
        return pd.concat([input_example(self.given, one, wide) for one in self.given.series])

    def contexts(self, *, steps: int = 60) -> list[Context]:
        """What `rows` says, as the service makes it."""
        return [self._context(one, steps) for one in self.given.series]

    def expected(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        return predict(self.forecaster, self.contexts())

    def load(self) -> Any:
        return quiet_mlflow().pyfunc.load_model(str(self.folder))

    def _context(self, one: Series, steps: int) -> Context:
        whole = context(self.given, one, self.spec, len(one))
        return Context(whole.y[-steps:], whole.exog[-steps:], whole.futr, whole.stat)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    registry = embedded(tmp_path_factory.mktemp("contract") / "var")
    made: dict[str, LoggedModel] = {}

    def logged_model(given: Panel | None = None, **changes: Any) -> LoggedModel:
        given = panel() if given is None else given
        key = repr((given.timeline, changes))
        if key not in made:
            source = logged(registry, given, task=f"task-{len(made)}", **changes).source
            made[key] = LoggedModel(file_of(source), given)
        return made[key]

    return logged_model


@pytest.mark.parametrize(
    ("timeline", "changes"),
    [
        (HOURS, {}),
        (HOURS, {"cell": "gru", **BARE}),
        (COUNTED, {"transform": "log", "layers": 2}),
        (HOURS, {"quantiles": (), "futr_exog": ()}),
        (HOURS, {"holidays": EASTER}),
        (HOURS, {"holidays": EASTER, **BARE}),
    ],
    ids=["covariates", "bare", "counted", "point", "holidays", "holidays alone"],
)
def test_it_gives_the_numbers_of_the_service(
    model: Logged, timeline: Any, changes: dict[str, Any]
) -> None:
    one = model(panel(timeline), **changes)
    answer = one.load().predict(one.rows())
    expected = one.expected()
    np.testing.assert_allclose(answer["mean"], point(one.spec, expected).ravel(), rtol=1e-12)
    for column, level in enumerate(one.spec.quantiles):
        np.testing.assert_allclose(answer[f"q{level:g}"], expected[..., column].ravel(), rtol=1e-12)
    ids = [series.unique_id for series in one.given.series]
    assert list(answer["unique_id"]) == list(np.repeat(ids, one.spec.horizon))
    clock = timeline.at(one.given.series[0].start, np.arange(200, 206))
    assert list(answer["ds"][:6]) == timeline.format(clock)


def test_a_category_is_text_and_one_never_seen_is_told(model: Logged) -> None:
    words = ("east", "north", "south", "west")
    given = replace(panel(), categories={"area": words})
    one = model(given, categorical=(("area", words),))
    loaded, rows = one.load(), one.rows()
    assert set(rows["area"]) == {"north", "south", "west"}
    answer = loaded.predict(rows)
    np.testing.assert_allclose(answer["mean"], point(one.spec, one.expected()).ravel(), rtol=1e-12)
    unknown = loaded.predict(rows.assign(area=None))
    assert not np.allclose(unknown["mean"], answer["mean"])
    with pytest.raises(MlflowException, match=r"site-0.*area is none that the model knows: east"):
        loaded.predict(rows.assign(area="mars"))


@pytest.mark.parametrize("transform", ["none", "log"])
@pytest.mark.parametrize("steps", [1, 3, 5])
def test_a_young_series_is_widened_as_the_service_does(
    model: Logged, transform: str, steps: int
) -> None:
    one = model(transform=transform, **BARE)
    expected = predict(one.forecaster, one.contexts(steps=steps))
    answer = one.load().predict(one.rows(steps=steps))
    columns = [f"q{level:g}" for level in one.spec.quantiles]
    np.testing.assert_allclose(
        answer[columns], expected.reshape(-1, len(columns)), rtol=1e-12, atol=1e-12
    )
    plain = predict(one.forecaster.warm(None), one.contexts(steps=steps))
    one.forecaster.warm(one.warming)
    assert (expected[..., -1] > plain[..., -1]).all()
    assert (expected[..., 0] < plain[..., 0]).all()


def test_horizon_and_quantiles_are_parameters(model: Logged) -> None:
    one = model()
    answer = one.load().predict(one.rows(), params={"horizon": 2, "quantiles": [0.3, 0.5]})
    expected = at_levels(one.spec.quantiles, one.expected()[:, :2], [0.3, 0.5])
    assert list(answer.columns) == ["unique_id", "ds", "mean", "q0.3", "q0.5"]
    np.testing.assert_allclose(answer[["q0.3", "q0.5"]], expected.reshape(-1, 2), rtol=1e-12)


@pytest.mark.parametrize("holidays", [None, EASTER], ids=["none", "holidays"])
def test_a_horizon_beyond_the_fit_gives_the_numbers_of_the_service(
    model: Logged, holidays: Holidays | None
) -> None:
    one = model(futr_exog=(), holidays=holidays)
    contexts = [context(one.given, each, one.spec, len(each), 15) for each in one.given.series]
    expected = predict(one.forecaster, contexts, h=15)
    answer = one.load().predict(one.rows(steps=200), params={"horizon": 15})
    np.testing.assert_allclose(answer["mean"], point(one.spec, expected).ravel(), rtol=1e-12)
    np.testing.assert_allclose(answer["q0.1"], expected[..., 1].ravel(), rtol=1e-12)


def test_rows_in_any_order_and_without_the_unobserved_mean_the_same(model: Logged) -> None:
    one = model(**BARE)
    loaded = one.load()
    rows = one.rows(steps=120)
    assert rows["y"].isna().any()
    expected = loaded.predict(rows)
    observed = rows.dropna(subset=["y"]).sample(frac=1, random_state=0)
    answer = loaded.predict(observed).sort_values(["unique_id", "ds"], ignore_index=True)
    pd.testing.assert_frame_equal(answer, expected)


def test_without_future_covariates_a_series_ends_with_its_last_row(model: Logged) -> None:
    one = model(**BARE)
    rows = one.rows()
    rows.loc[rows.index[-2:], "y"] = None
    answer = one.load().predict(rows)
    clock = HOURS.at(one.given.series[0].start, np.arange(200, 206))
    assert list(answer["ds"][:6]) == HOURS.format(clock)


def changed(rows: pd.DataFrame, column: str, at: int, value: Any) -> pd.DataFrame:
    rows = rows.reset_index(drop=True)
    rows.loc[at, column] = value
    return rows


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: changed(rows, "ds", 3, "yesterday"), "site-0.*ds"),
        (lambda rows: changed(rows, "ds", 3, "2024-04-04T10:30:00+02:00"), "not on the grid"),
        (lambda rows: changed(rows, "ds", 3, rows["ds"].iloc[4]), "occurs twice"),
        (lambda rows: changed(rows, "ds", 0, "1700-01-01T00:00:00+00:00"), "more than 1000000"),
        (lambda rows: changed(rows, "y", 3, float("inf")), "infinite"),
        (lambda rows: rows.assign(y=np.nan), "no value at all"),
        (lambda rows: changed(rows, "unique_id", 3, None), "unique_id is null"),
        (lambda rows: changed(rows, "area", 3, 9.0), "area never changes"),
        (lambda rows: rows.dropna(subset=["y"]), "price known for 0 of 6 steps"),
        (lambda rows: rows.drop(columns="price"), "missing inputs"),
        (lambda rows: rows.assign(y=["many"] * len(rows)), "y"),
    ],
)
def test_what_cannot_be_forecast_is_refused_with_the_reason(
    model: Logged, change: Callable[[pd.DataFrame], pd.DataFrame], reason: str
) -> None:
    one = model()
    with pytest.raises(MlflowException, match=f"(?s){reason}"):
        one.load().predict(change(one.rows()))


def test_nothing_in_is_nothing_out(model: Logged) -> None:
    one = model()
    answer = one.load().predict(one.rows().iloc[:0])
    assert list(answer.columns)[:3] == ["unique_id", "ds", "mean"]
    assert answer.empty


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"horizon": 0}, "horizon"),
        ({"horizon": 7}, "price known for 6 of 7 steps"),
        ({"horizon": 4097}, "between 1 and 4096"),
        ({"quantiles": [0.01]}, "0.025"),
        ({"quantiles": "all"}, "quantiles"),
    ],
)
def test_parameters_out_of_range_are_refused(
    model: Logged, params: dict[str, Any], reason: str
) -> None:
    one = model()
    with pytest.raises(MlflowException, match=reason):
        one.load().predict(one.rows(), params=params)


def test_a_bundle_that_was_altered_does_not_load(model: Logged, tmp_path: Path) -> None:
    folder = shutil.copytree(model().folder, tmp_path / "model")
    weights = folder / BUNDLE_FOLDER / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    with pytest.raises(Exception, match=re.escape(WEIGHTS)):
        quiet_mlflow().pyfunc.load_model(str(folder))


def test_its_requirements_are_listed_and_pinned(model: Logged) -> None:
    lines = (model().folder / "requirements.txt").read_text().split()
    assert "torch==2.13.0" in lines
    assert all("==" in line and "+" not in line for line in lines)
    named = {line.partition("==")[0] for line in lines}
    assert named == {"mlflow", "numpy", "pandas", "pydantic", "safetensors", "torch", "tzdata"}


def test_its_input_example_is_json_that_every_parser_reads(model: Logged) -> None:
    def refused(name: str) -> None:
        raise AssertionError(name)

    for name in ("input_example.json", "serving_input_example.json"):
        json.loads((model().folder / name).read_text(), parse_constant=refused)


SCRIPT = """
import json, sys
import mlflow
import models
assert models.__file__.startswith(sys.argv[2]), models.__file__
loaded = mlflow.pyfunc.load_model(sys.argv[1])
assert "training" not in sys.modules and "torch" in sys.modules
import models as still
assert still.OWNER == "somebody else"
print(loaded.predict(loaded.input_example).to_json(orient="split", double_precision=15))
"""


def forecast_elsewhere(python: Path, one: LoggedModel, place: Path) -> pd.DataFrame:
    """The input example's forecast by another interpreter, in a folder with its own `models`."""
    (place / "models").mkdir(parents=True)
    (place / "models" / "__init__.py").write_text("OWNER = 'somebody else'\n")
    (place / "models" / "forecaster.py").write_text("raise ImportError('not this one')\n")
    hidden = ("PYTHONPATH", "COVERAGE_PROCESS_START", "VIRTUAL_ENV")
    answer = subprocess.run(
        [python, "-c", SCRIPT, one.folder, place],
        cwd=place,
        env={name: value for name, value in os.environ.items() if name not in hidden},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    told = json.loads(answer.stdout.splitlines()[-1])
    return pd.DataFrame(told["data"], columns=told["columns"])


def assert_same(answer: pd.DataFrame, one: LoggedModel) -> None:
    steps = one.spec.input_size
    expected = predict(one.forecaster, one.contexts(steps=steps)[:1])[0]
    columns = [f"q{level:g}" for level in one.spec.quantiles]
    np.testing.assert_allclose(answer[columns], expected, rtol=1e-5)


def test_a_package_of_the_host_that_is_called_models_is_no_obstacle(
    model: Logged, tmp_path: Path
) -> None:
    one = model()
    assert_same(forecast_elsewhere(Path(sys.executable), one, tmp_path / "place"), one)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_new_environment_with_the_listed_requirements_is_enough(
    model: Logged, tmp_path: Path
) -> None:
    one = model()
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    requirements = one.folder / "requirements.txt"
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--no-compile", "-r", requirements], check=True
    )
    assert_same(forecast_elsewhere(python, one, tmp_path / "place"), one)
