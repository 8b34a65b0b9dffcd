"""The textbook's model: LSTM(50) over (100, 1) into Dense(10), Adam, mean squared error."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.forecaster import Forecaster, equation_parameter_count, parameter_count
from models.predict import predict
from tests.training.fits import COUNTED, embedded, panel
from training.contexts import context
from training.load_version import find_version, load_version
from training.pipeline import Candidate, Plan, run
from training.presets import textbook

HERE = panel(COUNTED, n_series=2)


def test_it_has_the_textbook_s_parameters_and_torch_s_second_bias() -> None:
    spec, _ = textbook(HERE)
    forecaster = Forecaster(spec)
    assert equation_parameter_count(forecaster) == 10_910
    assert parameter_count(forecaster) == 11_110 == 10_910 + 4 * 50
    assert forecaster.encoder.inputs == 1
    assert (spec.horizon, spec.outputs, spec.input_size) == (10, 1, 100)
    assert forecaster.head.skip is None


def test_it_is_trained_on_squared_errors_by_adam() -> None:
    spec, schedule = textbook(HERE, seed=3, threads=1)
    assert spec.quantiles == ()
    assert (schedule.weight_decay, schedule.seed, schedule.threads) == (0.0, 3, 1)


def test_it_fits_registers_and_loads_like_any_other(tmp_path: Path) -> None:
    spec, schedule = textbook(HERE)
    small = schedule.model_copy(update={"batches": 3, "lanes": 2, "evaluations": 1, "threads": 1})
    plan = Plan(
        task="textbook",
        source="a test",
        candidates=(Candidate("textbook", spec, small),),
        n_windows=1,
        step_size=None,
        folder=tmp_path / "fits",
        store=f"sqlite:///{tmp_path}/gatecast.db",
    )
    registry = embedded(tmp_path / "var")
    outcome = run(HERE, plan, registry, lambda _: None)
    assert outcome.versions == {"textbook": 1}
    fitted = outcome.fits["textbook"].forecaster
    loaded, manifest = load_version(registry, find_version(registry, "textbook", "1"))
    assert manifest.spec == spec
    past = context(HERE, HERE.series[0], spec, 200)
    np.testing.assert_array_equal(predict(loaded, [past]), predict(fitted, [past]))
    assert manifest.parameters == 11_110
