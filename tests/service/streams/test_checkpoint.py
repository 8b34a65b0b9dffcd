"""States as bytes and back."""

from __future__ import annotations

import math

import pytest
import torch

from models.forecaster import new_forecaster
from models.state import State
from service.slots import Loaded
from service.streams.checkpoint import checkpoint_of, pack, unpack
from service.streams.head import Head, Options, young
from tests.service.streams.versions import SPECS

OPTIONS = Options(opened=2, rewind=0, max_gap=6, ttl_hours=None)


@pytest.fixture
def loaded(versions: dict[str, list[Loaded]]) -> Loaded:
    return versions["counted"][0]


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize(("task", "version"), [(task, v) for task in SPECS for v in (0, 1)])
def test_a_state_comes_back_bit_by_bit(task: str, version: int, n: int) -> None:
    spec = SPECS[task][version]
    slots = new_forecaster(spec, 0).recurrent.slots
    ring = torch.randn(n, spec.input_size, dtype=torch.float64)
    ring[0, 0] = math.nan
    memory = torch.randn(n, slots, spec.hidden_size)
    state = State(ring, memory, torch.randn(n, len(spec.stat_exog)))
    back = unpack(pack(state), spec, slots)
    for name in ("ring", "memory", "stat"):
        assert torch.equal(getattr(back, name).nan_to_num(7), getattr(state, name).nan_to_num(7))


def test_what_does_not_fit_its_version_is_refused(loaded: Loaded) -> None:
    slots = loaded.forecaster.recurrent.slots
    [good] = pack(loaded.forecaster.initial_state(1))
    for bad in (good[:-1], good + b"\0", b""):
        with pytest.raises(ValueError, match="does not fit"):
            unpack([good, bad], loaded.spec, slots)


def test_a_stream_without_observations_has_no_checkpoint(loaded: Loaded) -> None:
    with pytest.raises(ValueError, match="nothing to keep"):
        checkpoint_of(1, loaded, OPTIONS, young(0), b"")


def test_a_checkpoint_stands_where_its_head_does(loaded: Loaded) -> None:
    head = Head(90, 1.0, None, 5, 7, 40, 51, exact=False, received=3)
    made = checkpoint_of(1, loaded, OPTIONS, head, b"state")
    assert (made.ds, made.seq, made.opened, made.start, made.steps) == (90, 7, 2, 40, 51)
    assert not made.exact
    assert made.weights == loaded.manifest.files["weights.safetensors"].sha256
