"""The folder that MLflow logs: the bundle, a copy of `models/`, and the code that joins them.

It is written by `mlflow.pyfunc.save_model` from explicit parts, so that MLflow infers, pickles and
imports nothing, and it loads wherever its listed requirements are installed.
"""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import models
from models.spec import Spec
from training.panel import Panel, Series
from training.registry import quiet_mlflow

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import Model, ModelSignature

_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pydantic", "safetensors", "torch", "tzdata")
_MODELS = Path(models.__file__).parent
_CODE = Path(__file__).with_name("pyfunc_model.py")


def save_model(folder: Path, bundle: Path, spec: Spec, example: pd.DataFrame, model: Model) -> None:
    """Write the MLflow model of the bundle in `bundle` to the new folder `folder`.

    example: rows as `input_example` makes them, saved with the model; model: what MLflow knows of
    the logged model, completed by this.
    """
    mlflow = quiet_mlflow()
    source = folder.parent / "source" / "models"
    _copy_source(source)
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(_CODE),
        artifacts={"bundle": str(bundle), "models": str(source)},
        signature=signature(spec),
        input_example=example,
        pip_requirements=requirements(),
        mlflow_model=model,
    )
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache)


def requirements() -> list[str]:
    """What the logged model needs, at the versions installed here, less labels such as `+cpu`."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in _REQUIREMENTS]


def signature(spec: Spec) -> ModelSignature:
    """Columns and parameters of the logged model, as `training.pyfunc_model` describes them."""
    quiet_mlflow()
    from mlflow.models import ModelSignature  # noqa: PLC0415 - mlflow takes a second to import
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema  # noqa: PLC0415

    ds = "string" if spec.timeline.kind == "time" else "long"
    keys = [ColSpec("string", "unique_id"), ColSpec(ds, "ds")]
    covariates = [
        ColSpec("string" if name in spec.categories else "double", name)
        for name in (*spec.hist_exog, *spec.futr_exog, *spec.stat_exog)
    ]
    outputs = ["mean", *(f"q{level:g}" for level in spec.quantiles)]
    return ModelSignature(
        inputs=Schema([*keys, ColSpec("double", "y"), *covariates]),
        outputs=Schema([*keys, *(ColSpec("double", name) for name in outputs)]),
        params=ParamSchema(
            [
                ParamSpec("horizon", "long", spec.horizon),
                ParamSpec("quantiles", "double", list(spec.quantiles), shape=(-1,)),
            ]
        ),
    )


def input_example(panel: Panel, series: Series, spec: Spec) -> pd.DataFrame:
    """The newest window of a series as rows for the logged model, with the future it must know.

    With future covariates the rows end `spec.horizon` steps after the last value, those beyond what
    the panel knows as null.
    """
    import pandas as pd  # noqa: PLC0415 - needed here only, and slow to import

    end = int(np.flatnonzero(~np.isnan(series.y))[-1]) + 1 if spec.futr_exog else len(series)
    start = max(0, end - spec.input_size)
    ahead = spec.horizon if spec.futr_exog else 0
    steps = np.arange(start, end + ahead)
    rows: dict[str, Any] = {
        "unique_id": [series.unique_id] * len(steps),
        "ds": panel.timeline.format(panel.timeline.at(series.start, steps)),
        "y": _at(series.y[:end], steps),
    }
    for name in spec.hist_exog:
        rows[name] = _at(series.hist_exog[:end, panel.hist_exog.index(name)], steps)
    for name in spec.futr_exog:
        rows[name] = _at(series.futr_exog[:, panel.futr_exog.index(name)], steps)
    for name in spec.stat_exog:
        value, words = series.stat_exog[panel.stat_exog.index(name)], panel.categories.get(name)
        rows[name] = value if words is None else None if np.isnan(value) else words[int(value)]
    frame = pd.DataFrame(rows)
    # None, since MLflow would write a NaN into the example's JSON, where none can be
    return frame.astype(object).where(frame.notna(), None)


def _at(values: np.ndarray[Any, np.dtype[np.float64]], steps: np.ndarray[Any, Any]) -> Any:
    """values (T,) at `steps`, NaN beyond their end."""
    inside = steps < len(values)
    return np.where(inside, values[np.where(inside, steps, 0)], np.nan)


def _copy_source(folder: Path) -> None:
    folder.mkdir(parents=True)
    for file in sorted(_MODELS.glob("*.py")):
        shutil.copyfile(file, folder / file.name)
