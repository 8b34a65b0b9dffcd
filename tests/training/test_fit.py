"""A fit is decided by its data, spec, schedule and seed; stopped or not, it ends the same."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.forecaster import Forecaster
from models.predict import predict
from models.state import Steps
from tests.training.panels import COUNTED, panel_of, seasonal, spec_of
from tests.training.trainers import pasts_of, schedule_of, small_panel
from training.checkpoint import CheckpointError
from training.fit import Fit, fit
from training.lanes import Chunk, Lanes
from training.loop import EpochRecord, Progress
from training.panel import Panel, Series

SPEC = spec_of(layers=2)
SCHEDULE = schedule_of()


def assert_equal(one: Forecaster, other: Forecaster) -> None:
    """The same weights to the last bit."""
    weights = [dict(forecaster.state_dict()) for forecaster in (one, other)]
    torch.testing.assert_close(*weights, rtol=0, atol=0)


def timeless(fitted: Fit) -> list[EpochRecord]:
    return [replace(record, seconds=0.0) for record in fitted.history]


@pytest.fixture(scope="module")
def uninterrupted() -> Fit:
    return fit(small_panel(), SPEC, SCHEDULE)


def test_a_seed_is_a_fit_to_the_last_bit(uninterrupted: Fit) -> None:
    torch.manual_seed(99)
    again = fit(small_panel(), SPEC, SCHEDULE)
    assert_equal(again.forecaster, uninterrupted.forecaster)
    assert timeless(again) == timeless(uninterrupted)
    other = fit(small_panel(), SPEC, schedule_of(seed=1))
    assert not torch.equal(
        other.forecaster.head.state.weight, uninterrupted.forecaster.head.state.weight
    )


def test_a_fit_leaves_torch_s_randomness_and_threads_alone() -> None:
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    fit(small_panel(), SPEC, schedule_of(batches=2, threads=2))
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.get_num_threads() == threads


def test_an_ensemble_is_the_mean_of_fits_that_it_finds_done(tmp_path: Path) -> None:
    single = {
        cell: fit(
            small_panel(),
            spec_of(cell=cell),
            SCHEDULE,
            checkpoint=tmp_path / f"{cell}.safetensors",
        )
        for cell in ("lstm", "gru")
    }
    reports = list[Progress]()
    both = fit(
        small_panel(),
        spec_of(cell="ensemble", members=("lstm", "gru")),
        SCHEDULE,
        checkpoint=tmp_path / "ensemble.safetensors",
        report=reports.append,
    )
    assert not reports
    alone = fit(small_panel(), both.forecaster.spec, SCHEDULE)
    assert_equal(both.forecaster, alone.forecaster)
    steps = sum(each.history[-1].step for each in single.values())
    assert both.history[-1].step == steps
    spent = sum(each.cpu_seconds for each in single.values())
    assert both.cpu_seconds == pytest.approx(spent, abs=0.5)  # and what reading them takes
    medians = [median_of(each.forecaster) for each in single.values()]
    torch.testing.assert_close(median_of(both.forecaster), torch.stack(medians).mean(0))


@torch.inference_mode()
def median_of(forecaster: Forecaster) -> torch.Tensor:
    """What the network says of the median at the end of each series, (n, horizon)."""
    spec = forecaster.spec
    outputs = []
    for past in pasts_of(small_panel(), spec):
        steps = Steps(torch.from_numpy(past.y)[None], torch.from_numpy(past.exog)[None])
        z = forecaster.unroll(forecaster.initial_state(1), steps, None, torch.tensor([-1])).z
        outputs.append(z[0, 0, :, spec.quantiles.index(0.5)])
    return torch.stack(outputs)


def test_members_of_one_cell_have_seeds_of_their_own() -> None:
    twice = fit(
        small_panel(), spec_of(cell="ensemble", members=("gru", "gru")), schedule_of(batches=3)
    )
    one, other = (
        {k[len(name) :]: v for k, v in twice.forecaster.state_dict().items() if k.startswith(name)}
        for name in ("recurrent.members.0.", "recurrent.members.1.")
    )
    assert one.keys() == other.keys()
    assert not all(torch.equal(one[name], other[name]) for name in one)


def stopping(at: int) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.batch == at:
            raise KeyboardInterrupt

    return report


@pytest.mark.parametrize("stops", [(1,), (3,), (5,), (11,), (12,), (2, 3, 7, 11)], ids=str)
def test_an_interrupted_fit_ends_as_if_it_had_not_been(
    tmp_path: Path, uninterrupted: Fit, stops: tuple[int, ...]
) -> None:
    path = tmp_path / "gru.safetensors"
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            fit(small_panel(), SPEC, SCHEDULE, checkpoint=path, report=stopping(stop))
    batches: list[int] = []
    resumed = fit(
        small_panel(), SPEC, SCHEDULE, checkpoint=path, report=lambda p: batches.append(p.batch)
    )
    assert batches == list(range(stops[-1] + 1, 13))
    assert_equal(resumed.forecaster, uninterrupted.forecaster)
    assert timeless(resumed) == timeless(uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_within_a_batch_lets_it_be_done(
    tmp_path: Path, uninterrupted: Fit, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    draw, path, drawn = Lanes.next, tmp_path / "gru.safetensors", []

    def signalled(lanes: Lanes) -> Chunk:
        drawn.append(1)
        if len(drawn) == 5:
            signal.raise_signal(number)
        return draw(lanes)

    try:
        with monkeypatch.context() as patch:
            patch.setattr(Lanes, "next", signalled)
            with pytest.raises(KeyboardInterrupt):
                fit(small_panel(), SPEC, SCHEDULE, checkpoint=path)
        assert signal.getsignal(number) is interrupt
    finally:
        signal.signal(number, before)
    batches: list[int] = []
    resumed = fit(
        small_panel(), SPEC, SCHEDULE, checkpoint=path, report=lambda p: batches.append(p.batch)
    )
    assert batches[0] == 6
    assert_equal(resumed.forecaster, uninterrupted.forecaster)


def test_a_fit_runs_in_any_thread(uninterrupted: Fit) -> None:
    found: list[Fit] = []
    thread = threading.Thread(target=lambda: found.append(fit(small_panel(), SPEC, SCHEDULE)))
    thread.start()
    thread.join()
    assert_equal(found[0].forecaster, uninterrupted.forecaster)


def test_a_finished_fit_s_checkpoint_is_the_fit(tmp_path: Path, uninterrupted: Fit) -> None:
    path = tmp_path / "gru.safetensors"
    fit(small_panel(), SPEC, SCHEDULE, checkpoint=path)

    def never(_: Progress) -> None:
        raise AssertionError("there was nothing left to do")

    again = fit(small_panel(), SPEC, SCHEDULE, checkpoint=path, report=never)
    assert_equal(again.forecaster, uninterrupted.forecaster)
    assert timeless(again) == timeless(uninterrupted)


def test_the_time_before_a_stop_counts(tmp_path: Path) -> None:
    path = tmp_path / "gru.safetensors"
    first = fit(small_panel(), SPEC, SCHEDULE, checkpoint=path)
    second = fit(small_panel(), SPEC, SCHEDULE, checkpoint=path)
    assert second.seconds >= first.history[-1].seconds
    assert second.cpu_seconds > 0
    assert second.peak_memory_bytes > 10**6


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gru.safetensors"
    fit(small_panel(), SPEC, SCHEDULE, checkpoint=path)
    with pytest.raises(CheckpointError, match="other data"):
        fit(small_panel(seed=1), SPEC, SCHEDULE, checkpoint=path)


def changing(panel: Panel, after: int, noise: float) -> Panel:
    """`panel` with everything after `after` steps replaced."""

    def changed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        late = (np.arange(values.shape[0]) >= after).reshape(-1, *[1] * (values.ndim - 1))
        return np.where(late, noise, values)

    series = tuple(
        replace(
            each,
            y=changed(each.y),
            hist_exog=changed(each.hist_exog),
            futr_exog=changed(each.futr_exog),
        )
        for each in panel.series
    )
    return replace(panel, series=series)


@pytest.mark.parametrize("noise", [1e6, np.nan])
def test_what_lies_beyond_the_cutoffs_reaches_the_width_of_intervals_and_nothing_else(
    noise: float,
) -> None:
    random = np.random.default_rng(0)
    series = tuple(
        Series(
            str(seed), 0, seasonal(60, seed), random.normal(size=(60, 1)),
            random.normal(size=(63, 1)), np.array([float(seed)]),
        )
        for seed in range(3)
    )  # fmt: skip
    panel = Panel(COUNTED, series, ("wind",), ("price",), ("area",))
    spec = spec_of(hist_exog=("wind",), futr_exog=("price",), stat_exog=("area",))
    ends = np.array([40, 40, 4])
    one = fit(panel, spec, SCHEDULE, cutoffs=ends)
    other = fit(changing(changing(panel, 40, noise), 60, 0.0), spec, SCHEDULE, cutoffs=ends)
    torch.testing.assert_close(*(but_for_the_width(f) for f in (one, other)), rtol=0, atol=0)
    assert timeless(one) == timeless(other)
    learnt = fit(changing(panel, 39, 30.0), spec, SCHEDULE, cutoffs=ends)
    assert timeless(learnt) != timeless(one)  # the last step before is seen


def but_for_the_width(fitted: Fit) -> dict[str, torch.Tensor]:
    """The weights without those of quantiles other than the median."""
    spec, weights = fitted.forecaster.spec, dict(fitted.forecaster.state_dict())
    middle = spec.quantiles.index(0.5)
    for name in ("head.state.weight", "head.state.bias"):
        weights[name] = weights[name].unflatten(0, (spec.horizon, spec.outputs))[:, middle]
    weights["head.futr_output.weight"] = weights["head.futr_output.weight"][middle]
    return weights


def test_series_of_any_length_are_fitted_together() -> None:
    panel = panel_of(*(seasonal(length, length) for length in (1, 2, 3, 5, 9, 30)), np.empty(0))
    fitted = fit(panel, SPEC, SCHEDULE)
    values = predict(fitted.forecaster, pasts_of(panel, SPEC))
    assert np.isfinite(values[:-1]).all()
    assert np.isnan(values[-1]).all()


@pytest.mark.parametrize("lengths", [(), (1,), (0, 1, 1)], ids=str)
def test_what_is_too_short_to_learn_from_is_told(lengths: tuple[int, ...]) -> None:
    panel = panel_of(*(seasonal(length) for length in lengths))
    with pytest.raises(ValueError, match="no series is long enough to learn from"):
        fit(panel, SPEC, SCHEDULE)
