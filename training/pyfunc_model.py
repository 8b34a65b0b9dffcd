"""The logged model's own code: what `mlflow.pyfunc.load_model` runs, far away from this repository.

MLflow copies this one file beside the bundle and a copy of the package `models`, and executes it
wherever the model is loaded. So it imports nothing of ours by name: the copied package is loaded
under a private name, made of its own content, that no package of the host can have.

In, a long frame with a row a step:

    unique_id   the series
    ds          ISO 8601 text, or whole numbers where the forecaster counts steps
    y           the value, null where nothing was observed
    ...         a column for each covariate of the forecaster, of text where it is a category

Rows may come in any order; steps that have no row count as unobserved. A forecaster with covariates
that are known ahead wants them for the steps to be forecast too: rows after the last observed y
are the future. Without such covariates, a series ends with its last row, observed or not.

Out, a long frame, series in the order of their first rows: `unique_id`, `ds`, `mean` (the point
forecast, which is the median for a forecaster of quantiles) and a column for each quantile: `q0.1`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext

MAX_STEPS = 1_000_000
"""Steps that one series may span, unobserved ones included."""


class GatecastModel(PythonModel):  # type: ignore[misc]  # mlflow is untyped here, and asks for its base
    """A forecaster behind MLflow's interface. Parameters: `horizon`, `quantiles`."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the bundle; raises the package's `BundleError` if it is not intact."""
        package = _private_package(Path(context.artifacts["models"]))
        self._timeline_module = _module(package, "timeline")
        self._context_module = _module(package, "context")
        self._categories_module = _module(package, "categories")
        self._holidays_module = _module(package, "holidays")
        self._levels_module = _module(package, "levels")
        self._predict_module = _module(package, "predict")
        self._max_horizon: int = _module(package, "spec").MAX_HORIZON
        bundle = _module(package, "bundle")
        self.forecaster, self.manifest = bundle.read_bundle(Path(context.artifacts["bundle"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - the signature is MLflow's
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """The forecasts of every series; raises MlflowException for input that cannot be."""
        try:
            return self._forecast(model_input, params or {})
        except ValueError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error

    def _forecast(self, rows: pd.DataFrame, params: dict[str, Any]) -> pd.DataFrame:
        spec = self.forecaster.spec
        horizon = int(params.get("horizon", spec.horizon))
        wanted = [float(level) for level in params.get("quantiles", spec.quantiles)]
        if not 1 <= horizon <= self._max_horizon:
            raise ValueError(f"horizon must lie between 1 and {self._max_horizon}")
        if any(rows["unique_id"].isna()):
            raise ValueError("unique_id is null")
        names, contexts, stamps = [], [], []
        for name, series in rows.groupby("unique_id", sort=False):
            try:
                series_context, ds = self._series(series, horizon)
            except ValueError as error:
                raise ValueError(f"series {name!r}: {error}") from error
            names.append(name)
            contexts.append(series_context)
            stamps.extend(ds)
        values = self._predict_module.predict(self.forecaster, contexts, h=horizon)
        frame = {
            "unique_id": np.repeat(np.array(names, dtype=object), horizon),
            "ds": stamps,
            "mean": self._predict_module.point(spec, values).reshape(-1),
        }
        if wanted:
            columns = self._levels_module.at_levels(spec.quantiles, values, wanted)
            for k, level in enumerate(wanted):
                frame[f"q{level:g}"] = columns[..., k].reshape(-1)
        return pd.DataFrame(frame)

    def _series(self, rows: pd.DataFrame, horizon: int) -> tuple[Any, list[Any]]:
        """The context of one series' rows, and the stamps to be forecast."""
        spec = self.forecaster.spec
        timeline = spec.timeline
        clock = timeline.parse(_stamps(rows["ds"], timeline.kind))
        rows, clock = rows.iloc[np.argsort(clock, kind="stable")], np.sort(clock)
        start = clock[0].item() if timeline.kind == "integer" else clock[0]
        steps = timeline.positions(start, clock)
        if steps[-1] >= MAX_STEPS:
            raise ValueError(f"spans more than {MAX_STEPS} steps")
        twice = np.flatnonzero(np.diff(steps) == 0)
        if twice.size:
            raise ValueError(f"ds {timeline.format(clock[twice[:1]])[0]} occurs twice")
        observed = rows["y"].to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isinf(observed).any():
            raise ValueError("y is infinite")
        seen = np.flatnonzero(~np.isnan(observed))
        if not seen.size:
            raise ValueError("y has no value at all")
        last = steps[seen[-1]] if spec.futr_exog else steps[-1]
        length = int(last) + 1
        past = np.arange(length)
        end = length + max(horizon, spec.horizon)

        def placed(columns: Sequence[str], dtype: type[np.floating[Any]]) -> Any:
            grid = np.full((end, len(columns)), np.nan, dtype=dtype)
            inside = steps < end
            cells = rows.loc[:, list(columns)].to_numpy(dtype=np.float64, na_value=np.nan)
            grid[steps[inside]] = cells[inside]
            return grid

        futr = placed(spec.futr_exog, np.float32)  # (end, n_futr)
        ahead = int(steps[-1]) - int(last)
        if spec.futr_exog and ahead < horizon:
            raise ValueError(f"{', '.join(spec.futr_exog)} known for {ahead} of {horizon} steps")
        clock = timeline.at(start, np.arange(end) if spec.holidays else past)
        calendar = timeline.calendar(clock[:length], spec.calendar)
        hist = placed(spec.hist_exog, np.float32)[:length]
        following = timeline.at(start, np.arange(length, length + horizon))
        covariates = None
        if horizon > spec.horizon:
            known = futr[length : length + horizon]
            covariates = self._context_module.covariates_ahead(spec, following, known)
        if spec.holidays:
            futr = np.c_[futr, self._holidays_module.holidays_at(spec, clock)]
        series_context = self._context_module.Context(
            y=placed(["y"], np.float64)[:length, 0],
            exog=np.concatenate([calendar, hist, futr[:length]], axis=1, dtype=np.float32),
            futr=futr[length : length + spec.horizon],
            stat=self._stat(rows),
            ahead=covariates,
        )
        return series_context, timeline.format(following)

    def _stat(self, rows: pd.DataFrame) -> Any:
        spec = self.forecaster.spec
        values = []
        for name in spec.stat_exog:
            try:
                stated = _constant(rows[name])
                values.append(self._categories_module.stat_value(spec, name, stated))
            except ValueError as error:
                raise ValueError(f"{name} {error}") from error
        return np.array(values, np.float32)


def _stamps(ds: pd.Series[Any], kind: str) -> list[Any]:
    if bool(ds.isna().any()):
        raise ValueError("ds is null")
    return [int(step) for step in ds] if kind == "integer" else [str(stamp) for stamp in ds]


def _constant(values: pd.Series[Any]) -> Any:
    known = values.dropna().unique()
    if len(known) > 1:
        raise ValueError(f"never changes within a series, but has {len(known)} values")
    return known[0] if len(known) else None


def _private_package(folder: Path) -> str:
    """Load the package in `folder` under a name made of its content; returns the name.

    The same content is loaded once, however often and from wherever it is asked for.
    """
    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.py")):
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode())
        digest.update(content)
    name = f"_gatecast_models_{digest.hexdigest()[:24]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"{folder} holds no package")
        package = importlib.util.module_from_spec(spec)
        sys.modules[name] = package
        spec.loader.exec_module(package)
    return name


def _module(package: str, name: str) -> ModuleType:
    return importlib.import_module(f"{package}.{name}")


mlflow.models.set_model(GatecastModel())
