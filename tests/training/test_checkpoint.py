"""A checkpoint gives back the trainer that was saved, or says why it cannot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from models.spec import Spec
from tests.training.panels import panel_of, seasonal, spec_of
from tests.training.trainers import schedule_of, small_panel, trainer_of
from training.checkpoint import CheckpointError, restore, save
from training.loop import Trainer
from training.panel import Panel
from training.schedule import Schedule


def trained(batches: int = 5, **parts: Any) -> Trainer:
    trainer = trainer_of(**parts)
    for _ in range(batches):
        trainer.advance(1.5)
    return trainer


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("checkpoint") / "lstm.safetensors"
    save(path, trained(), (2.5, 1.5))
    return path.read_bytes()


@pytest.mark.parametrize("batches", [0, 1, 5])
def test_a_trainer_comes_back_as_it_was(tmp_path: Path, batches: int) -> None:
    path = tmp_path / "new folder" / "gru.safetensors"
    before, after = trained(batches), trainer_of()
    save(path, before, (2.5, 1.5))
    assert restore(path, after) == (2.5, 1.5)
    assert (after.batch, after.history, after.smooth) == (batches, before.history, before.smooth)
    torch.testing.assert_close(after.best, before.best, rtol=0, atol=0)
    for _ in range(4):  # and goes on as it would have
        one, other = before.advance(3.0), after.advance(3.0)
        assert one == other
    weights = [dict(each.forecaster.state_dict()) for each in (before, after)]
    torch.testing.assert_close(*weights, rtol=0, atol=0)
    assert [file.name for file in path.parent.iterdir()] == ["gru.safetensors"]


def changed_late() -> Panel:
    """`small_panel`, but for a value that is only validated on."""
    ys = [seasonal(80 + 5 * k, k) for k in range(3)]
    ys[2][-1] += 1.0
    return panel_of(*ys)


def changed_early() -> Panel:
    """`small_panel`, but for a value that is learnt from."""
    ys = [seasonal(80 + 5 * k, k) for k in range(3)]
    ys[0][3] += 1e-9
    return panel_of(*ys)


@pytest.mark.parametrize(
    ("panel", "spec", "schedule"),
    [
        (small_panel(seed=1), None, None),
        (small_panel(2), None, None),
        (changed_early(), None, None),
        (changed_late(), None, None),
        (None, spec_of(hidden_size=5), None),
        (None, spec_of(cell="lstm"), None),
        (None, spec_of(season=(5,)), None),
        (None, None, schedule_of(seed=1)),
        (None, None, schedule_of(batches=13)),
        (None, None, schedule_of(threads=2)),
    ],
    ids=["data", "series", "a value", "a validated value", "size", "cell", "season", "seed",
         "batches", "threads"],
)  # fmt: skip
def test_another_fit_does_not_go_on_from_it(
    tmp_path: Path,
    written: bytes,
    panel: Panel | None,
    spec: Spec | None,
    schedule: Schedule | None,
) -> None:
    path = tmp_path / "lstm.safetensors"
    path.write_bytes(written)
    with pytest.raises(CheckpointError, match=r"other data or settings.*without --resume"):
        restore(path, trainer_of(panel, spec, schedule))


def forged(change: Callable[[dict[str, Any], dict[str, torch.Tensor]], object]) -> Any:
    def forge(path: Path) -> None:
        with safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["facts"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        change(facts, tensors)
        save_file(tensors, path, {"facts": json.dumps(facts)})

    return forge


def flipped(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "rubbish": lambda path: path.write_bytes(b"\x80\x04rubbish" * 100),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "header cut": lambda path: path.write_bytes(path.read_bytes()[:50]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "a weight's bit": lambda path: flipped(path, -1000),
    "last bit": lambda path: flipped(path, -1),
    "a folder": lambda path: path.rename(path.with_name("file")).parent.joinpath(path.name).mkdir(),
    "no facts": lambda path: save_file({"x": torch.ones(1)}, path),
    "facts that are no JSON": lambda path: save_file({"x": torch.ones(1)}, path, {"facts": "{"}),
    "facts of another shape": lambda path: save_file({"x": torch.ones(1)}, path, {"facts": "[]"}),
    "without facts": forged(lambda facts, _: facts.clear()),
    "without a digest": forged(lambda facts, _: facts.pop("digest")),
    "without the state": forged(lambda _, tensors: tensors.pop("state.ring")),
    "without lanes": forged(lambda facts, _: facts.pop("lanes")),
    "with another history": forged(lambda facts, _: facts.update(history=[{"step": 1}])),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused(tmp_path: Path, written: bytes, damage: str) -> None:
    path = tmp_path / "lstm.safetensors"
    path.write_bytes(written)
    DAMAGES[damage](path)
    with pytest.raises(CheckpointError, match="without --resume") as caught:
        restore(path, trainer_of())
    assert str(path) in caught.value.reason


def test_a_save_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "lstm.safetensors"
    save(path, trained(2), (1.0, 1.0))
    before = path.read_bytes()
    path.with_suffix(".unfinished").mkdir()  # nothing can be written there
    with pytest.raises(Exception, match=r"[Dd]irectory"):
        save(path, trained(3), (1.0, 1.0))
    assert path.read_bytes() == before
